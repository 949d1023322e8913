"""create(weights=...): where weights come from, what fits, what is adapted on request, and what is said about it."""

import hashlib
import json
import re

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, backbones, nn, random, weights
from minicnn.backbones import identify
from minicnn.backbones.identify import matching_backbones
from minicnn.weights import torchvision_files
from tests.weights.pytorch_writer import text, whole, zip_form

pytestmark = pytest.mark.filterwarnings("ignore:.*leaves a map of")


@pytest.fixture(scope="module")
def resnet():
    return backbones.create("resnet18", width=4, seed=1)


@pytest.fixture(scope="module")
def file(resnet, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    information = weights.WeightsInformation(name="resnet18.ours", resize=40, crop=32, categories=("a", "b"))
    weights.save(resnet, path, information.as_metadata())
    return path


def assert_same(model, other, names):
    states = model.state_dict(), other.state_dict()
    for name in names:
        np.testing.assert_array_equal(states[0][name], states[1][name], err_msg=name)


def test_a_file_and_a_dictionary_fill_the_network_and_are_reported(resnet, file):
    for source in (file, str(file), resnet.state_dict()):
        model = backbones.create("resnet18", width=4, seed=2, weights=source)
        assert_same(model, resnet, resnet.state_dict())
        assert len(model.load_report.loaded) == 122
        assert not model.load_report.adapted
        assert (model.weights_info is None) == isinstance(source, dict)
    assert resnet.load_report is None
    assert resnet.weights_info is None


def test_what_is_known_of_the_file_prepares_images(file):
    model = backbones.create("resnet18", width=4, weights=file)
    assert model.weights_info.name == "resnet18.ours"
    assert model.weights_info.transforms()(np.zeros((3, 50, 80), np.uint8)).shape == (3, 32, 32)
    assert [model.weights_info.category(number) for number in (1, 2)] == ["b", "class 2"]


def test_a_normalisation_in_front_of_the_network_takes_images_as_they_are(file):
    model = backbones.create("resnet18", width=4, weights=file).eval()
    picture = np.random.default_rng(0).integers(0, 256, (3, 32, 32), np.uint8)
    prepared = weights.WeightsInformation(resize=None, crop=None).transforms()(picture)[None]
    whole = nn.Sequential(model.weights_info.normalization(), model).eval()
    raw = (picture / np.float32(255))[None]
    np.testing.assert_allclose(whole(Tensor(raw)).data, model(Tensor(prepared)).data, rtol=1e-4, atol=1e-5)
    assert whole.state_dict().keys() == {f"1.{name}" for name in model.state_dict()}
    with pytest.raises(ValueError, match=r"3 means and needs \(N, 3, H, W\), but got \(1, 1, 8, 8\)"):
        nn.Normalize([0, 0, 0], [1, 1, 1])(Tensor(np.zeros((1, 1, 8, 8), np.float32)))
    with pytest.raises(ValueError, match="every std must be above 0"):
        nn.Normalize([0.5], [0.0])


def test_other_classes_and_channels_are_adapted_on_request(resnet, file):
    model, again = (
        backbones.create("resnet18", width=4, num_classes=5, in_chans=1, seed=2, weights=file) for _ in range(2)
    )
    assert_same(model, again, ["fc.weight", "fc.bias"])
    assert 0 < np.abs(model.state_dict()["fc.weight"]).max() < 1  # drawn, as a fresh layer is
    assert_same(model, resnet, [name for name in resnet.state_dict() if name[:2] != "fc" and name != "conv1.weight"])
    np.testing.assert_allclose(
        model.state_dict()["conv1.weight"], resnet.state_dict()["conv1.weight"].sum(axis=1, keepdims=True), rtol=1e-6
    )
    assert set(model.load_report.adapted) == {"fc.weight", "fc.bias", "conv1.weight"}
    assert "1000 classes in the source, 5 in the model" in str(model.load_report)


def test_what_was_not_asked_for_is_refused(file, tmp_path):
    five = tmp_path / "five.safetensors"
    weights.save(backbones.create("resnet18", width=4, num_classes=5), five)
    with pytest.raises(ValueError, match=r"fc\.weight: \(5, 32\) in the state, \(1000, 32\) in the model"):
        backbones.create("resnet18", width=4, weights=five)
    with pytest.raises(ValueError, match="does not fit resnet18"):
        backbones.create("resnet18", width=8, num_classes=5, in_chans=1, weights=file)
    with pytest.raises(FileNotFoundError, match="nothing"):
        backbones.create("resnet18", weights=tmp_path / "nothing.safetensors")
    with pytest.raises(TypeError, match="no setting 'widht'"):
        backbones.create("resnet18", widht=4, weights=file)


@pytest.mark.parametrize(
    ("name", "settings", "head"),
    [
        ("vgg11_bn", {"width": 0.0625}, "classifier"),
        ("resnet50", {"width": 4, "blocks": (1, 1, 1, 1)}, "fc"),
        ("googlenet", {"width": 0.0625, "aux_logits": True}, "fc"),
        ("resnet20", {"width": 4}, "linear"),
    ],
)
def test_features_do_without_the_heads_of_the_file(name, settings, head, tmp_path):
    whole = backbones.create(name, seed=0, **settings)
    weights.save(whole, tmp_path / "whole.safetensors")
    settings.pop("aux_logits", None)
    features = backbones.create(name, features_only=True, weights=tmp_path / "whole.safetensors", **settings)
    assert_same(features, whole, features.state_dict())
    assert {left.partition(".")[0] for left in features.load_report.adapted} <= {head, "aux1", "aux2"}
    x = Tensor(np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32))
    _, expected = whole.eval().forward_intermediates(x)
    for ours, theirs in zip(features.eval()(x), expected, strict=True):
        np.testing.assert_array_equal(ours.data, theirs.data)


def test_auxiliary_classifiers_of_other_classes_stay_fresh_too(tmp_path):
    settings = {"width": 0.0625, "aux_logits": True}
    weights.save(backbones.create("googlenet", seed=0, **settings), tmp_path / "whole.safetensors")
    model = backbones.create("googlenet", num_classes=3, weights=tmp_path / "whole.safetensors", **settings)
    assert {name.rpartition(".")[0] for name in model.load_report.adapted} == {"fc", "aux1.fc2", "aux2.fc2"}


def test_a_set_of_torchvisions_is_found_by_its_name(monkeypatch, server, unplugged, tmp_path):
    """The address is a local server's, and the file a small network's."""
    model = backbones.create("googlenet", width=0.0625, aux_logits=True, seed=3)
    weights.save(model, tmp_path / "g.safetensors")
    content = (tmp_path / "g.safetensors").read_bytes()
    server.files["googlenet-small.safetensors"] = content
    information = weights.WeightsInformation(
        name="googlenet.SMALL_V1",
        sha256=hashlib.sha256(content).hexdigest()[:8],
        url="https://example.org/googlenet-small.safetensors",
    )
    obtain = weights.obtain_pretrained
    monkeypatch.setattr(torchvision_files, "_known", lambda: {information.name: information})
    monkeypatch.setattr(weights, "obtain_pretrained", lambda known: obtain(known, sources=(server.source("good"),)))
    for _ in range(2):  # the second time from the cache
        loaded = backbones.create("googlenet", width=0.0625, weights="SMALL_V1")
        assert_same(loaded, model, loaded.state_dict())
        assert loaded.weights_info == information
        assert isinstance(loaded.input_transform, nn.Normalize)  # the published weights expect it
        assert len(server.requests) == 1
    with pytest.raises(ValueError, match=r"no weights 'LARGE_V1' for 'googlenet': there are \['SMALL_V1'\]"):
        backbones.create("googlenet", weights="LARGE_V1")


@pytest.mark.parametrize("form", ["file", "dictionary"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_of_another_network_are_told_by_their_names(resnet, tmp_path, form, prefix):
    state = {prefix + name: array for name, array in resnet.state_dict().items()}
    source, what = state, "the dictionary of weights"
    if form == "file":
        source = what = str(tmp_path / "a.npz")
        weights.save(state, source)
    with pytest.raises(ValueError, match=re.escape(f"{what} does not fit vgg11: its names are those of 'resnet18'. ")):
        backbones.create("vgg11", width=0.05, weights=source)


@pytest.mark.parametrize("name", backbones.list())
def test_every_backbone_is_recognised_whatever_its_width_and_head(name):
    width = {} if name == "lenet5" else {"width": 2 if name.startswith("resnet") else 0.02}
    model = backbones.create(name, num_classes=3, **width)
    assert matching_backbones(model.state_dict()) == [name]
    model.reset_classifier(0)
    assert matching_backbones(key for key in model.state_dict() if "tracked" not in key) == [name]
    assert matching_backbones(["a.weight", *model.state_dict()]) == []


def test_to_recognise_leaves_the_random_streams_as_they_were():
    identify._narrowest.cache_clear()
    before = random.get_state()
    matching_backbones(["a"])
    assert random.get_state() == before


def test_the_argument_that_would_make_weights_fit_is_named(resnet):
    state = backbones.create("resnet18", width=4, num_classes=5, in_chans=2).state_dict()
    with pytest.raises(
        ValueError, match=r"; give num_classes=5 for .*; give in_chans=2 for .*\. Nothing was loaded:\n"
    ):
        backbones.create("resnet18", width=4, weights=state)
    assert backbones.create("resnet18", width=4, weights=state, num_classes=5, in_chans=2).load_report
    with pytest.raises(ValueError, match=r"does not fit resnet18\. Nothing was loaded:"):
        backbones.create("resnet18", width=8, weights=resnet.state_dict())


def test_a_network_that_nobody_gets_is_not_drawn(resnet, monkeypatch):
    drawn = []
    wait = nn.init.defer
    monkeypatch.setattr(nn.init, "defer", lambda tensor, draw: wait(tensor, lambda: drawn.append(1) or draw()))
    matching_backbones([])  # which makes small networks, and keeps them
    drawn.clear()
    with pytest.raises(ValueError, match="does not fit vgg11"):
        backbones.create("vgg11", width=0.05, weights=resnet.state_dict())
    assert not drawn
    backbones.create("resnet18", width=4, num_classes=5, weights=resnet.state_dict())
    assert drawn  # the classifier


def test_half_precision_is_widened_bit_for_bit_and_told(resnet, tmp_path):
    """Of every form: float16 as NumPy and torch have it, and bfloat16, the upper half of a float32."""
    state = resnet.state_dict()
    floats = [name for name, array in state.items() if array.dtype == np.float32]
    halves = {name: array.astype(np.float16) if name in floats else array for name, array in state.items()}
    weights.save(halves, tmp_path / "half.safetensors")
    weights.save(halves, tmp_path / "half.npz")
    for source in (tmp_path / "half.safetensors", tmp_path / "half.npz", halves):
        model = backbones.create("resnet18", width=4, weights=source)
        assert model.load_report.converted == dict.fromkeys(floats, "float16 to float32")
        assert f"{len(floats)} converted from float16 to float32" in repr(model.load_report)
        for name, array in model.state_dict().items():
            assert array.dtype == state[name].dtype
            np.testing.assert_array_equal(array, halves[name].astype(array.dtype))
    assert resnet.load_report is None
    assert backbones.create("resnet18", width=4, weights=state).load_report.converted == {}
    doubles = {name: array.astype(np.float64) for name, array in state.items()}
    told = backbones.create("resnet18", width=4, weights=doubles).load_report.converted
    assert told["conv1.weight"] == "float64 to float32"
    assert told["bn1.num_batches_tracked"] == "float64 to int64"


def test_bfloat16_of_safetensors_is_widened_bit_for_bit_and_told(resnet, tmp_path):
    state = resnet.state_dict()
    header, body, expected = {}, b"", {}
    for name, array in state.items():
        kind, content = "I64", array.tobytes()
        if array.dtype == np.float32:
            upper = (np.ascontiguousarray(array).view(np.uint32) >> 16).astype("<u2")
            kind, content = "BF16", upper.tobytes()
            expected[name] = (upper.astype(np.uint32) << 16).view(np.float32).reshape(array.shape)
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    model = backbones.create("resnet18", width=4, weights=tmp_path / "a.safetensors")
    assert model.load_report.converted == dict.fromkeys(expected, "bfloat16 to float32")
    for name, array in expected.items():
        assert model.state_dict()[name].tobytes() == array.tobytes()


def test_channels_of_half_precision_are_summed_in_float32(resnet, tmp_path):
    halves = {name: array.astype(np.float16) for name, array in resnet.state_dict().items()}
    weights.save(halves, tmp_path / "half.safetensors")
    model = backbones.create("resnet18", width=4, in_chans=1, weights=tmp_path / "half.safetensors")
    expected = halves["conv1.weight"].astype(np.float32).sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(model.conv1.weight.data, expected)
    assert model.load_report.converted["conv1.weight"] == "float16 to float32"


def test_a_row_of_one_number_fills_a_scalar_as_in_torch(resnet, tmp_path):
    state = {name: np.atleast_1d(array) for name, array in resnet.state_dict().items()}
    weights.save(state, tmp_path / "a.safetensors")
    for source in (state, tmp_path / "a.safetensors"):
        model = backbones.create("resnet18", width=4, weights=source)
        assert_same(model, resnet, resnet.state_dict())
        assert set(model.load_report.adapted) == {name for name in state if name.endswith("num_batches_tracked")}


def test_a_name_that_a_file_gives_itself_changes_no_other_network(resnet, tmp_path):
    information = weights.WeightsInformation(name="googlenet.anything")  # whose images are transformed
    weights.save(resnet, tmp_path / "a.npz", information.as_metadata())
    assert backbones.create("resnet18", width=4, weights=tmp_path / "a.npz").load_report


PREFIXES = ["model.", "module.net.body.", "module.model.", "module._orig_mod.", "_orig_mod.module.", "module.backbone."]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_names_behind_a_prefix_are_told_with_advice_that_works(resnet, prefix, tmp_path):
    state = {prefix + name: array for name, array in resnet.state_dict().items()}
    weights.save(state, tmp_path / "a.npz")
    advice = (
        rf"after the prefix '{prefix}', its names are those of 'resnet18'; give prefix='{prefix}', or give a (.*)\. No"
    )
    with pytest.raises(ValueError, match=advice) as caught:
        backbones.create("resnet18", width=4, weights=tmp_path / "a.npz")
    without = re.search(r"dictionary without it, (.*)\. Nothing", str(caught.value))[1]
    advised = eval(without, {"minicnn": minicnn, "FILE": tmp_path / "a.npz"})
    for source, given in ((tmp_path / "a.npz", {"prefix": prefix}), (state, {"prefix": prefix}), (advised, {})):
        model = backbones.create("resnet18", width=4, weights=source, **given)
        assert_same(model, resnet, resnet.state_dict())
    assert backbones.create("resnet18", width=4, weights=state, prefix=prefix).load_report.renamed == {
        prefix + name: name for name in resnet.state_dict()
    }


def test_names_that_fit_no_backbone_get_no_advice():
    for state in ({"a.b": np.zeros(3), "a.c": np.zeros(2)}, {}):
        with pytest.raises(ValueError, match=r"does not fit resnet18\. Nothing"):
            backbones.create("resnet18", width=4, weights=state)


def test_one_of_two_networks_in_a_file_is_named_and_chosen(resnet):
    """As files of MoCo: an encoder, a second one, and arrays besides."""
    other = backbones.create("resnet18", width=4, seed=5)
    state = {f"module.encoder_q.{name}": array for name, array in resnet.state_dict().items()}
    state |= {f"module.encoder_k.{name}": array for name, array in other.state_dict().items()}
    state["module.queue"] = np.zeros((2, 3), np.float32)
    message = r"prefix 'module\.encoder_q\.', .* \(and so they are after 'module\.encoder_k\.'\); give prefix='module"
    with pytest.raises(ValueError, match=message) as caught:
        backbones.create("resnet18", width=4, weights=state)
    assert "items() if name.startswith('module.encoder_q.')}" in str(caught.value)
    model = backbones.create("resnet18", width=4, weights=state, prefix="module.encoder_k.")
    assert_same(model, other, other.state_dict())
    assert model.load_report.adapted["module.queue"] == "left out: its name does not begin with 'module.encoder_k.'"
    model = backbones.create("resnet18", width=4, weights=state, prefix="encoder_q.")  # "module." is the usual one
    assert_same(model, resnet, resnet.state_dict())
    with pytest.raises(
        ValueError, match=r"no name begins with prefix='encoder\.'; its names are module\.encoder_q\.con"
    ):
        backbones.create("resnet18", width=4, weights=state, prefix="encoder.")


def test_a_state_is_chosen_by_its_key(resnet, tmp_path):
    before = b"}(" + text("epoch") + b"K\x05" + text("state_dict_ema")
    (tmp_path / "a.pth").write_bytes(zip_form(*whole(resnet.state_dict()), before=before, after=b"u"))
    with pytest.raises(ValueError, match="give key='state_dict_ema'"):
        backbones.create("resnet18", width=4, weights=tmp_path / "a.pth")
    model = backbones.create("resnet18", width=4, weights=tmp_path / "a.pth", key="state_dict_ema")
    assert_same(model, resnet, resnet.state_dict())
    with pytest.raises(ValueError, match=r"key='a' is for files; .*weights=states\['a'\]"):
        backbones.create("resnet18", weights=resnet.state_dict(), key="a")
    for given in ({"key": "a"}, {"prefix": "a."}):
        with pytest.raises(ValueError, match=r"give weights=FILE too"):
            backbones.create("resnet18", **given)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("resnet18", {"width": 4}),
        ("vgg11", {"width": 0.05}),
        ("vgg6", {"width": 0.1}),
        ("googlenet", {"width": 0.0625}),
        ("resnet8", {"width": 4}),
        ("lenet5", {}),
    ],
)
def test_a_state_without_a_head_gets_a_fresh_one_for_other_classes(name, settings):
    whole_network = backbones.create(name, num_classes=3, seed=0, **settings)
    heads = {path.partition(".")[0] for path in whole_network.classifiers}
    state = {key: array for key, array in whole_network.state_dict().items() if key.partition(".")[0] not in heads}
    model = backbones.create(name, num_classes=10, weights=state, seed=1, **settings)
    assert_same(model, whole_network, state)
    fresh = set(model.state_dict()) - set(state)
    assert fresh
    assert model.load_report.adapted == dict.fromkeys(fresh, "keeps its fresh weights: the source lacks this part")
    drawn = model.state_dict()[f"{model.classifier_name}.weight"]
    assert 0 < np.abs(drawn).max() < 1
    with pytest.raises(
        ValueError, match=r"its classifier is missing; give num_classes=0 .* num_classes=10, for a fresh"
    ):
        backbones.create(name, weights=state, **settings)
    assert_same(backbones.create(name, features_only=True, weights=state, **settings), whole_network, state)


def test_a_googlenet_under_another_name_is_warned_of(tmp_path):
    """Its images have another normalisation, which nothing in the arrays tells."""
    state = backbones.create("googlenet", width=0.0625, seed=0).state_dict()
    content = zip_form(*whole(state))
    for name in ("googlenet-1378be20.pth", "mine.pth"):
        (tmp_path / name).write_bytes(content)
    known = backbones.create("googlenet", width=0.0625, weights=tmp_path / "googlenet-1378be20.pth")
    assert isinstance(known.input_transform, nn.Normalize)
    with pytest.warns(
        UserWarning, match=r"mine\.pth may be torchvision's GoogLeNet .* give transform_input=True"
    ) as caught:
        backbones.create("googlenet", width=0.0625, weights=tmp_path / "mine.pth")
    assert caught[0].filename == __file__
    for given in (True, False):
        model = backbones.create(
            "googlenet", width=0.0625, weights=tmp_path / "mine.pth", transform_input=given, num_classes=1000
        )
        assert isinstance(model.input_transform, nn.Normalize) == given
