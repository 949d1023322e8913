"""Weights get into a network whole, renamed or adapted as asked, and the report tells what was done."""

import gc
from pathlib import Path

import numpy as np
import pytest

import minicnn.functional as F
import minicnn.weights
from minicnn import nn, random
from minicnn.tensor import Tensor
from minicnn.weights import WeightsInformation, adapt_input_channels, load, load_weights, open_weights, save
from minicnn.weights.loading import without_prefix
from tests.weights.pytorch_writer import FORMS, whole

pytestmark = pytest.mark.usefixtures("own_random_streams")


class Network(nn.Module):
    def __init__(self, num_classes=10, in_chans=3):
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, num_classes) if num_classes else nn.Identity()


def random_state(**sizes):
    generator = np.random.default_rng(1)
    shapes = {name: array.shape for name, array in Network(**sizes).state_dict().items() if "tracked" not in name}
    return {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(params=["zip", "legacy", ".safetensors", ".npz", "dictionary"])
def source_of(request, tmp_path):
    """A function that makes a source of a state: a file of each form, or the dictionary itself."""

    def make(state):
        if request.param == "dictionary":
            return state
        if request.param in FORMS:
            (tmp_path / "a.pth").write_bytes(FORMS[request.param](*whole(state)))
            return tmp_path / "a.pth"
        save(state, tmp_path / f"a{request.param}")
        return tmp_path / f"a{request.param}"

    return make


def assert_holds(model, state, but=()):
    for name, array in model.state_dict().items():
        if name in state and name not in but:
            np.testing.assert_array_equal(array, state[name], err_msg=name)


def test_a_state_is_loaded_from_every_source(source_of):
    state, model = random_state(), Network()
    report = load_weights(model, source_of(state))
    assert report
    assert sorted(report.loaded) == sorted(state)
    assert report.renamed == report.adapted == {}
    assert_holds(model, state)


def test_an_open_file_may_be_the_source_and_stays_open(tmp_path):
    state = random_state()
    save(state, tmp_path / "a.npz")
    with open_weights(tmp_path / "a.npz") as file:
        for model in (Network(), Network()):
            assert load_weights(model, file)
            assert_holds(model, state)


@pytest.mark.parametrize("prefix", ["module.", "module.module."])
def test_the_prefix_of_parallel_training_is_taken_off_and_reported(source_of, prefix):
    state, model = random_state(), Network()
    report = load_weights(model, source_of({prefix + name: array for name, array in state.items()}))
    assert report
    assert report.renamed == {prefix + name: name for name in state}
    assert f"{prefix}stem.weight -> stem.weight" in repr(report)
    assert_holds(model, state)


def test_the_prefix_stays_where_it_is_part_of_the_name():
    assert without_prefix(["module.a", "b"], ["a", "b"]) == {}
    assert without_prefix(["module.a"], ["module.a"]) == {}
    assert without_prefix([], ["a"]) == {}


def test_another_number_of_classes_is_an_error_unless_asked_for(source_of):
    state, model = random_state(num_classes=7), Network(num_classes=10)
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"fc\.weight: \(7, 4\) in the state, \(10, 4\) in the model"):
        load_weights(model, source_of(state))
    np.testing.assert_equal(model.state_dict(), before)
    report = load_weights(model, source_of(state), classifiers=["fc"])
    assert report
    what = "keeps its fresh weights: 7 classes in the source, 10 in the model"
    assert report.adapted == {"fc.weight": what, "fc.bias": what}
    assert "\n2 adapted:\n" in repr(report)
    assert "\n  fc.weight: keeps its fresh" in repr(report)
    np.testing.assert_array_equal(model.fc.weight.data, before["fc.weight"])
    assert_holds(model, state, but=["fc.weight", "fc.bias"])


def test_a_classifier_of_the_same_size_is_loaded(source_of):
    state, model = random_state(), Network()
    assert load_weights(model, source_of(state), classifiers=["fc"]).adapted == {}
    assert_holds(model, state)


def test_a_classifier_that_differs_in_more_than_its_classes_is_an_error(source_of):
    state = random_state() | {"fc.weight": np.zeros((7, 5), np.float32), "fc.bias": np.zeros(7, np.float32)}
    with pytest.raises(ValueError, match="nothing was loaded"):
        load_weights(Network(), source_of(state), classifiers=["fc"])


def test_a_model_without_a_classifier_leaves_the_files_out(source_of):
    state, model = random_state(), Network(num_classes=0)
    with pytest.raises(ValueError, match="2 unexpected"):
        load_weights(model, source_of(state))
    report = load_weights(model, source_of(state), classifiers=["fc"])
    assert report
    what = "left out: the model lacks this part"
    assert report.adapted == {"fc.weight": what, "fc.bias": what}
    assert_holds(model, state)


def test_a_whole_head_may_be_left_out_of_a_model(source_of):
    state, model = random_state(num_classes=0), Network(num_classes=0)
    heads = {"head.0.weight": np.ones((3, 4), np.float32), "head.0.bias": np.ones(3, np.float32), "header": np.ones(1)}
    with pytest.raises(ValueError, match=r"1 unexpected .*\n  header"):
        load_weights(model, source_of(state | heads), classifiers=["head", "head.0"])
    del heads["header"]
    report = load_weights(model, source_of(state | heads), classifiers=["head", "head.0"])
    assert report
    assert report.adapted.keys() == heads.keys()


@pytest.mark.parametrize("in_chans", [1, 2, 4, 6])
def test_another_number_of_input_channels_is_an_error_unless_asked_for(source_of, in_chans):
    state, model = random_state(), Network(in_chans=in_chans)
    with pytest.raises(ValueError, match=r"stem\.weight"):
        load_weights(model, source_of(state))
    report = load_weights(model, source_of(state), first_convolution="stem")
    assert report
    assert "stem.weight" in report.loaded
    assert report.adapted["stem.weight"].startswith(f"3 input channels in the source, {in_chans} in the model: ")
    assert_holds(model, state, but=["stem.weight"])
    if in_chans in (1, 6):
        sums = model.stem.weight.data.sum(axis=1)
        np.testing.assert_allclose(sums, state["stem.weight"].sum(axis=1), rtol=1e-5, atol=1e-6)


def test_a_grey_image_gives_what_its_three_equal_channels_gave():
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3))
    grey = np.random.default_rng(1).standard_normal((2, 1, 6, 7))
    colour = F.conv2d(Tensor(np.repeat(grey, 3, axis=1)), Tensor(weight)).data
    np.testing.assert_allclose(F.conv2d(Tensor(grey), Tensor(adapt_input_channels(weight, 1))).data, colour, atol=1e-12)


def test_repeated_channels_keep_their_order():
    weight = np.array([1.0, 2.0, 3.0], np.float32).reshape(1, 3, 1, 1)
    adapted = adapt_input_channels(weight, 5)
    assert adapted.dtype == np.float32
    np.testing.assert_allclose(adapted.ravel(), np.array([1, 2, 3, 1, 2]) * 3 / 5, rtol=1e-6)
    np.testing.assert_array_equal(adapt_input_channels(weight, 3), weight)
    with pytest.raises(ValueError, match="in_chans >= 1"):
        adapt_input_channels(weight, 0)


def test_a_convolution_that_differs_in_more_than_its_channels_is_an_error(source_of):
    state = random_state() | {"stem.weight": np.zeros((4, 1, 5, 5), np.float32)}
    with pytest.raises(ValueError, match="nothing was loaded"):
        load_weights(Network(), source_of(state), first_convolution="stem")


def test_a_loose_load_takes_what_fits(source_of):
    state = random_state()
    del state["norm.bias"]
    report = load_weights(Network(), source_of(state | {"more": np.zeros(2, np.float32)}), strict=False)
    assert report.missing == ["norm.bias"]
    assert report.unexpected == ["more"]


def test_with_postponed_initialisation_only_the_fresh_layer_is_drawn(source_of, monkeypatch):
    state, drawn = random_state(num_classes=7), []
    source = source_of(state)
    uniform_ = nn.init.uniform_
    monkeypatch.setattr(nn.init, "uniform_", lambda tensor, *a: drawn.append(tensor.shape) or uniform_(tensor, *a))
    random.manual_seed(0)
    with nn.init.deferred():
        model = Network()
        drawn.clear()  # so far it was only asked for
        load_weights(model, source, classifiers=["fc"])
    assert_holds(model, state, but=["fc.weight", "fc.bias"])
    assert 0 < np.abs(model.fc.weight.data).max() <= 0.5  # +-1 / sqrt(4), as Linear draws
    fresh = model.fc.weight.data.copy()
    random.manual_seed(0)
    np.testing.assert_array_equal(Network().fc.weight.data, fresh)


def test_a_damaged_file_leaves_the_model_as_it_was(tmp_path):
    state, model = random_state(), Network()
    before = model.state_dict()
    content = bytearray(FORMS["zip"](*whole(state)))
    place = content.index(state["fc.weight"].tobytes())
    content[place] ^= 1
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ValueError, match="CRC"):
        load_weights(model, tmp_path / "a.pth")
    np.testing.assert_equal(model.state_dict(), before)


def resident(key):
    """Bytes of memory of this process: now ("VmRSS"), or at most since the peak was reset ("VmHWM")."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of memory")
@pytest.mark.parametrize("form", [*FORMS, "safetensors", "npz"])
def test_loading_takes_the_memory_of_the_parameters_and_little_more(tmp_path, form):
    state = {"weight": np.ones((2000, 5000), np.float32), "bias": np.zeros(2000, np.float32)}  # 40 MB
    path = tmp_path / (f"a.{form}" if form not in FORMS else "a.pth")
    if form in FORMS:
        path.write_bytes(FORMS[form](*whole(state)))
    else:
        save(state, path)
    gc.collect()  # what dies during the load would hide what it takes
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    with nn.init.deferred():
        model = nn.Linear(5000, 2000)
        load_weights(model, path)
    size = path.stat().st_size
    assert 0.9 * size < resident("VmHWM") - before < 1.3 * size
    assert_holds(model, state)


def test_weights_know_nothing_of_backbones():
    for file in Path(minicnn.weights.__file__).parent.glob("*.py"):
        assert "backbones" not in file.read_text(encoding="utf-8"), file.name


def test_parts_for_which_a_file_is_known_to_have_no_values_stay_fresh(tmp_path):
    state = random_state() | {"fc.weight": np.full((10, 4), np.nan, np.float32)}
    save(state, tmp_path / "a.npz", WeightsInformation(name="features only", void=("fc.",)).as_metadata())
    model = Network()
    before = model.fc.weight.data.copy()
    report = load_weights(model, tmp_path / "a.npz")
    assert report
    assert report.adapted["fc.weight"] == "keeps its fresh weights: features only has none for it"
    np.testing.assert_array_equal(model.fc.weight.data, before)
    assert_holds(model, state, but=["fc.weight", "fc.bias"])
    assert load_weights(Network(num_classes=0), tmp_path / "a.npz")


@pytest.mark.parametrize("source", [[1], 3, {"a": np.array(["text"])}])
def test_what_is_no_source_is_named(source):
    with pytest.raises(TypeError, match="source"):
        load_weights(Network(), source)


def test_tensors_and_lists_are_taken_as_arrays():
    state = random_state()
    model = Network()
    load_weights(model, {**{name: Tensor(array) for name, array in state.items()}, "norm.bias": [1, 2, 3, 4]})
    assert model.norm.bias.data.tolist() == [1, 2, 3, 4]


def test_torch_gives_the_same_logits(tmp_path):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 5)
    )
    theirs(torch.randn(8, 3, 6, 6))  # moves the running statistics
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "a.pth")
    ours = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
    assert load_weights(ours, tmp_path / "a.pth")
    images = np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32)
    with torch.no_grad():
        expected = theirs.eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(ours.eval()(Tensor(images)).data, expected, rtol=1e-4, atol=1e-5)
    save(ours, tmp_path / "back.safetensors")
    back = {name: torch.from_numpy(array) for name, array in load(tmp_path / "back.safetensors").items()}
    assert theirs.load_state_dict(back)
