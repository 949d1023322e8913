"""Where lessons are looked for, and in which order."""

from pathlib import Path

import pytest

from minicnn.teach import folder
from minicnn.teach.folder import all_lessons, copy_lessons, find_lesson, lessons_folder

LESSON = """# %% [markdown]
# # {number}. Try {number}
#
# **Question.** Which
# way is it?
#
# **Your time.** 25 minutes, both exercises included.
#
# More text.
# %%
lesson = teach.begin("{name}", budget=1)
"""
CHECKOUT = Path(__file__).parents[2] / "lessons"


def make_lessons(place, *numbers):
    place.mkdir(parents=True)
    for number in numbers:
        name = f"{number:02d}_try"
        (place / f"{name}.py").write_text(LESSON.format(number=number, name=name))
    return place


def test_lessons_at_hand_come_before_those_of_the_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert lessons_folder() == CHECKOUT
    mine = make_lessons(tmp_path / "lessons", 1, 2)
    assert lessons_folder() == mine
    monkeypatch.chdir(mine)
    assert lessons_folder() == mine


def test_a_folder_of_other_lessons_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_lessons(tmp_path / "lessons")
    (tmp_path / "lessons" / "01_guitar.py").write_text("print('C major')\n")
    assert lessons_folder() == CHECKOUT


def test_an_installed_package_has_its_lessons_inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    installed = make_lessons(tmp_path / "site-packages" / "minicnn" / "lessons", 1)
    monkeypatch.setattr(folder, "_PACKAGE", installed.parent)
    monkeypatch.setattr(folder, "INSTALLED", installed)
    assert lessons_folder() == installed
    (installed / "01_try.py").unlink()
    with pytest.raises(FileNotFoundError, match=r"lessons were looked for, and not found, in .*site-packages"):
        lessons_folder()


def test_lessons_are_described_by_their_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_lessons(tmp_path / "lessons", 2, 15, 1)
    assert [(one.number, one.name, one.title) for one in all_lessons()] == [
        (1, "01_try", "Try 1"),
        (2, "02_try", "Try 2"),
        (15, "15_try", "Try 15"),
    ]
    assert all_lessons()[0].question == "Which way is it?"
    assert all_lessons()[0].minutes == 25
    assert find_lesson("15") == find_lesson("15_try") == all_lessons()[2]
    assert find_lesson("2") == find_lesson("02")
    with pytest.raises(
        ValueError, match=r"lesson 'try' does not exist in .*; did you mean '15_try' or '02_try' or '01_try'"
    ):
        find_lesson("try")
    with pytest.raises(ValueError, match=r"lesson 7 \(Make depth trainable\) is still to come"):
        find_lesson("07")
    for name in ("3", "1.5", ""):
        with pytest.raises(
            ValueError, match=r"lesson .* does not exist in .*; there are 1 \(Try 1\), 2 \(Try 2\), 15 \(Try 15\)"
        ):
            find_lesson(name)


def test_a_lesson_without_title_or_question_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_lessons(tmp_path / "lessons", 1)
    (tmp_path / "lessons" / "02_bare.py").write_text('teach.begin("02_bare", budget=1)\n')
    with pytest.raises(ValueError, match=r"02_bare\.py: a lesson begins with"):
        all_lessons()


def test_a_copy_is_whole_and_overwrites_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (make_lessons(tmp_path / "lessons", 1) / "runs").mkdir()
    copy_lessons(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["01_try.py"]
    with pytest.raises(FileExistsError, match="mine exists: move it away"):
        copy_lessons(tmp_path / "mine")
