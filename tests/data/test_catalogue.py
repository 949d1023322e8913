"""Data sets are found by name, and a name that is wrong gets a hint."""

import pytest
from PIL import Image

from minicnn import data


def test_every_listed_name_is_created_or_asks_for_its_files(unplugged):
    for name in data.list():
        options = {"size": 4} if name.startswith("partworld") else {"download": False}
        if name.startswith("partworld"):
            assert len(data.create(name, "val", **options)) == 4
        else:
            with pytest.raises(FileNotFoundError, match=r"needs"):
                data.create(name, "test", **options)


def test_the_family_follows_the_name():
    assert data.create("partworld-near", size=2).family == "near"
    assert data.create("partworld", size=2).family == "base"


def test_a_path_is_a_folder_of_pictures(tmp_path, monkeypatch):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for place in range(5):
            Image.new("RGB", (4, 4)).save(tmp_path / "pets" / name / f"{place}.png")
    assert len(data.create(str(tmp_path / "pets"), "train", size=4)) == 8
    monkeypatch.chdir(tmp_path)
    assert len(data.create("pets", "val", size=4)) == 2
    with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist"):
        data.create("pets/none")


@pytest.mark.parametrize(("name", "hint"), [("cifar-10", "'cifar10'"), ("fashionmnist", "'fashion-mnist'")])
def test_an_unknown_name_gets_the_nearest(name, hint):
    with pytest.raises(ValueError, match=f"no data set or folder is called '{name}'; did you mean .*{hint}.*\\?"):
        data.create(name)


def test_a_name_that_is_like_none_gets_all():
    with pytest.raises(ValueError, match=r"there are 'partworld', .*'imagenette'"):
        data.create("zzz")


def test_an_unknown_split_names_the_choices():
    with pytest.raises(ValueError, match=r"train.*val"):
        data.create("partworld", "all", size=2)
    with pytest.raises(ValueError, match="'train', 'val', 'trainval', 'test', but is 'all'"):
        data.create("mnist", "all")
