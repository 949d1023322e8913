"""What every backbone offers: levels, maps on the way, a head that can be taken off, seeds, and clear refusals."""

import numpy as np
import pytest

import minicnn
from minicnn import backbones, nn
from minicnn.backbones.residual import subsample_and_pad_channels
from minicnn.grad_mode import no_grad
from minicnn.gradcheck import gradcheck
from minicnn.kernels import layout
from minicnn.tensor import Tensor

SIZES = {"lenet5": (1, 28)}
KINDS = ("lenet5", "vgg6_bn", "vgg11", "vgg16_bn", "googlenet", "resnet8", "resnet18", "resnet50")


def images(name, n=2):
    channels, side = SIZES.get(name, (3, 32))
    return Tensor(np.random.default_rng(0).standard_normal((n, channels, side, side), dtype=np.float32))


@pytest.fixture
def make(narrow):
    """make(name, **settings): the backbone, narrow and in evaluation mode."""

    def build(name, seed=0, **settings):
        settings = narrow(name, **{"in_chans": SIZES.get(name, (3, 32))[0], "num_classes": 10} | settings)
        return backbones.create(name, seed=seed, **settings).eval()

    return build


every_kind = pytest.mark.parametrize("name", KINDS)


@every_kind
def test_the_levels_describe_the_maps_that_come_out(name, make):
    model, x = make(name), images(name)
    with no_grad():
        last, maps = model.forward_intermediates(x)
    assert len(maps) == len(model.feature_info)
    for level, features in zip(model.feature_info, maps, strict=True):
        assert features.shape[1] == level.channels
        if name != "lenet5":  # its unpadded convolutions shrink the map besides
            assert features.shape[2] == x.shape[2] // level.reduction
    assert last.shape[1] == model.num_features
    np.testing.assert_array_equal(last.data, model.forward_features(x).data)


@every_kind
def test_the_levels_receptive_fields_are_those_that_the_graph_shows(name, make):
    model = make(name)
    fields = {row.path: row.receptive_field for row in nn.summary(model, images(name).shape[1:]).rows}
    for level in model.feature_info:
        behind = [
            field for path, field in fields.items() if path == level.module or path.startswith(level.module + ".")
        ]
        assert behind[-1] == (level.receptive_field, level.receptive_field)


@every_kind
def test_features_and_head_make_the_whole(name, make):
    model, x = make(name, num_classes=7), images(name)
    logits = model(x)
    assert logits.shape == (2, 7)
    features = model.forward_features(x)
    np.testing.assert_array_equal(model.forward_head(features).data, logits.data)
    vectors = model.forward_head(features, pre_logits=True)
    assert vectors.shape == (2, model.head_hidden_size)
    np.testing.assert_allclose(model.get_classifier()(vectors).data, logits.data, rtol=1e-6)


@every_kind
def test_features_only_returns_the_levels_asked_for_in_their_order(name, make):
    x = images(name)
    whole = make(name).forward_intermediates(x, intermediates_only=True)
    model = make(name, features_only=True, out_indices=(-1, 0))
    maps = model(x)
    np.testing.assert_array_equal(maps[0].data, whole[-1].data)
    np.testing.assert_array_equal(maps[1].data, whole[0].data)
    assert model.out_channels == [features.shape[1] for features in maps]
    assert isinstance(model.get_classifier(), nn.Identity)
    assert len(make(name, features_only=True)(x)) == len(model.feature_info)
    assert len(make(name, features_only=True, out_indices=2)(x)) == 2


@every_kind
def test_a_level_out_of_range_is_refused_by_name(name, make):
    last = make(name).feature_info[-1].module
    with pytest.raises(ValueError, match=rf"level 9 does not exist.*\({last}\)"):
        make(name, features_only=True, out_indices=[0, 9])
    with pytest.raises(ValueError, match="level -9 does not exist"):
        make(name).forward_intermediates(images(name), indices=[-9])


@every_kind
def test_the_classifier_can_be_replaced_and_taken_off(name, make):
    model, x = make(name), images(name)
    features = model.forward_features(x)
    model.reset_classifier(4)
    assert model.get_classifier().out_features == model.num_classes == 4
    assert model(x).shape == (2, 4)
    np.testing.assert_array_equal(model.forward_features(x).data, features.data)
    model.reset_classifier(0)
    np.testing.assert_array_equal(model(x).data, model.forward_head(features, pre_logits=True).data)
    assert not model.get_classifier().training
    with pytest.raises(ValueError, match="num_classes must be 0"):
        model.reset_classifier(-1)


@every_kind
def test_a_seed_fixes_every_bit_whatever_was_drawn_before(name, make):
    first = make(name).state_dict()
    make(name)
    nn.Linear(3, 3)
    second, other = (
        make(name).state_dict(),
        make(name, seed=1).state_dict(),
    )
    for key, array in first.items():
        assert array.tobytes() == second[key].tobytes()
    assert any(not np.array_equal(array, other[key]) for key, array in first.items())


@every_kind
def test_no_hook_is_left_behind(name, make):
    model = make(name, features_only=True)
    model(images(name))
    with pytest.raises(ValueError, match="channels"):
        model(Tensor(np.zeros((1, 9, *images(name).shape[2:]), np.float32)))
    assert not any(module._forward_hooks for module in model.modules())


@every_kind
def test_input_channels_are_an_argument(name, make):
    side = SIZES.get(name, (3, 32))[1]
    model = make(name, in_chans=2)
    assert model(Tensor(np.zeros((1, 2, side, side), np.float32))).shape == (1, 10)


def test_an_unknown_name_suggests_close_ones():
    with pytest.raises(ValueError, match=r"no backbone is called 'resnet21'; did you mean .*'resnet20'"):
        backbones.create("resnet21")
    with pytest.raises(ValueError, match=r"'ResNet-50'; did you mean 'resnet50'"):
        backbones.create("ResNet-50")
    with pytest.raises(ValueError, match=r"there are 'lenet5'"):
        backbones.create("transformer")
    for name in (None, ["resnet50"]):
        with pytest.raises(TypeError, match="name must be text, such as 'resnet50', but is"):
            backbones.create(name)


def test_out_indices_need_features_only():
    with pytest.raises(ValueError, match="out_indices=0 is for features_only=True"):
        backbones.create("resnet8", out_indices=0)


def test_width_and_shortcut_are_plain_arguments():
    narrow = backbones.create("resnet8", width=4)
    assert narrow.feature_info.channels() == [4, 4, 8, 16]
    assert backbones.create("vgg6_bn", width=0.25).feature_info.channels() == [8, 16, 32, 32]
    assert backbones.create("googlenet", width=0.125, stem="small").feature_info.channels() == [24, 60, 104, 128]
    option_b = backbones.create("resnet20", shortcut="B").state_dict()
    assert option_b["layer2.0.downsample.0.weight"].shape == (32, 16, 1, 1)
    assert "layer2.0.downsample.1.running_mean" in option_b
    assert "layer2.1.downsample.0.weight" not in option_b
    with pytest.raises(ValueError, match=r"'A' .* or 'none'"):
        backbones.create("resnet20", shortcut="C")
    with pytest.raises(ValueError, match=r"width \(the channels of the first stage\) must be at least 1, but is 0"):
        backbones.create("resnet8", width=0)
    with pytest.raises(TypeError, match=r"width .* must be an int, but is float: 0\.5"):
        backbones.create("resnet8", width=0.5)
    with pytest.raises(ValueError, match=r"width multiplies every number of channels and must be above 0, but is -1"):
        backbones.create("vgg6", width=-1)
    with pytest.raises(TypeError, match="width must be a number that multiplies channels"):
        backbones.create("googlenet", width="wide")


def test_depth_is_a_plain_argument():
    def convolutions(name, **settings):
        return sum(isinstance(module, nn.Conv2d) for module in backbones.create(name, **settings).modules())

    assert convolutions("resnet20", width=2) == 1 + 3 * 3 * 2
    assert convolutions("resnet20", width=2, blocks=4) == 1 + 3 * 4 * 2
    assert convolutions("resnet50", width=2, blocks=(1, 1, 1, 1)) == 1 + 4 * 3 + 4  # and a shortcut a stage
    assert convolutions("vgg16", width=0.02, blocks=((8,), (8, 16))) == 3
    with pytest.raises(ValueError, match=r"each of four stages, but is \(3, 4\)"):
        backbones.create("resnet50", blocks=(3, 4))
    with pytest.raises(ValueError, match=r"each of four stages, but is 2"):
        backbones.create("resnet50", blocks=2)
    for blocks in ((64, 128), 64, (("64",),), ((0,),), ((),), ()):
        with pytest.raises(TypeError, match=r"blocks must be rows of channels.*but is "):
            backbones.create("vgg16", blocks=blocks)


def test_a_setting_that_a_network_has_not_is_refused_beside_those_that_it_has():
    with pytest.raises(
        TypeError, match=r"resnet8 has no setting 'num_class'; .* it has \['blocks', 'shortcut', 'width'\]"
    ):
        backbones.create("resnet8", num_class=5)
    with pytest.raises(TypeError, match=r"vgg16 has no setting 'shortcut'; .*'blocks', 'dropout', 'head', 'stem'"):
        backbones.create("vgg16", shortcut="A")
    for name, setting in (("vgg16", "batch_norm"), ("resnet18", "block")):  # the name has said it
        with pytest.raises(TypeError, match=f"{name} has no setting '{setting}'"):
            backbones.create(name, **{setting: True})
    with pytest.raises(TypeError, match="num_classes must be an int, but is str: '5'"):
        backbones.create("resnet8", width=2).reset_classifier("5")


def test_a_stem_is_chosen_where_there_are_two():
    sizes = {stem: backbones.create("resnet18", width=2, stem=stem).conv1.kernel_size for stem in (None, "small")}
    assert sizes == {None: (7, 7), "small": (3, 3)}
    assert backbones.create("resnet20", width=2, stem="small").input_size == (3, 32, 32)
    assert backbones.create("googlenet", width=0.1, stem="small").conv1.conv.kernel_size == (3, 3)
    with pytest.raises(ValueError, match="resnet20 has one stem, for small images; leave out stem='imagenet'"):
        backbones.create("resnet20", stem="imagenet")
    for name in ("resnet50", "vgg11", "googlenet"):
        with pytest.raises(ValueError, match=r"stem must be 'imagenet' .* or 'small' .*, but is 'cifar'"):
            backbones.create(name, stem="cifar")


def test_a_network_has_a_thousand_classes_unless_told_otherwise():
    assert backbones.create("resnet8", width=2).get_classifier().out_features == 1000
    assert backbones.resnet8(width=2).get_classifier().out_features == 10


@every_kind
def test_weights_are_taken_from_a_dictionary_or_a_file(name, make, tmp_path):
    source, x = make(name, seed=3), images(name)
    minicnn.save(source, tmp_path / "weights.safetensors")
    for weights in (source.state_dict(), tmp_path / "weights.safetensors", str(tmp_path / "weights.safetensors")):
        np.testing.assert_array_equal(make(name, weights=weights)(x).data, source(x).data)
    levels = source.forward_intermediates(x, intermediates_only=True)
    maps = make(name, weights=source.state_dict(), features_only=True)(x)  # the head's are left aside
    for level, features in zip(levels, maps, strict=True):
        np.testing.assert_array_equal(features.data, level.data)


def test_weights_that_do_not_fit_are_refused():
    state = backbones.create("resnet8", width=4, num_classes=10).state_dict()
    with pytest.raises(ValueError, match=r"linear\.weight: \(10, 16\) in the state, \(1000, 16\) in the model"):
        backbones.create("resnet8", width=4, weights=state)  # another number would ask for a fresh classifier
    del state["conv1.weight"]
    with pytest.raises(ValueError, match=r"missing .*\n.*conv1\.weight"):
        backbones.create("resnet8", width=4, features_only=True, weights=state)
    with pytest.raises(FileNotFoundError):
        backbones.create("resnet8", weights="no-such-file.safetensors")


def test_lenet_fits_its_image_size_and_says_when_an_image_does_not():
    assert backbones.create("lenet5", in_chans=3, image_size=32).fc1.in_features == 400
    assert backbones.create("lenet5", in_chans=3, image_size=40).fc1.in_features == 16 * 7 * 7
    classic = backbones.create("lenet5", in_chans=1, classic=True)
    assert isinstance(classic.act1, nn.Tanh)
    assert isinstance(classic.pool1, nn.AvgPool2d)
    with pytest.raises(ValueError, match="image_size must be at least 16, but is 12"):
        backbones.create("lenet5", image_size=12)
    with pytest.raises(ValueError, match="made for 28x28 images"):
        backbones.create("lenet5", in_chans=1)(Tensor(np.zeros((1, 1, 32, 32), np.float32)))


def test_parameter_counts_of_small_networks_are_those_on_paper():
    def count(name, **settings):
        model = backbones.create(name, num_classes=10, **settings)
        return sum(parameter.numel() for parameter in model.parameters())

    assert count("lenet5", in_chans=1) == 61_706
    convolutions = sum(i * o * 9 + o for i, o in [(3, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)])
    assert count("vgg6") == convolutions + 128 * 10 + 10
    assert count("vgg6_bn") == count("vgg6") + 2 * (32 + 32 + 64 + 64 + 128 + 128)


def test_convolutions_begin_with_he_spread_and_the_head_small():
    model = backbones.create("resnet20", width=32, seed=0)
    weight = model.get_submodule("layer3.1.conv2").weight.data
    assert weight.std() == pytest.approx(np.sqrt(2 / (128 * 9)), rel=0.02)
    vgg = backbones.create("vgg6_bn", seed=0)
    assert vgg.get_classifier().weight.data.std() == pytest.approx(0.01, rel=0.1)
    assert (vgg.get_classifier().bias.data == 0).all()


@every_kind
def test_one_image_without_a_batch_axis_is_refused_with_advice(name, make):
    model = make(name, in_chans=1)
    with pytest.raises(
        ValueError, match=r"batch of images \(N, C, H, W\), but the shape is \(1, 28, 28\); add .*unsqueeze"
    ):
        model(Tensor(np.zeros((1, 28, 28), np.float32)))
    with pytest.raises(ValueError, match=r"batch of images"):
        model.forward_intermediates(Tensor(np.zeros((1, 28, 28), np.float32)))


@every_kind
def test_arrays_and_lists_of_pictures_are_taken_as_tensors_are(name, make):
    model = make(name, in_chans=1)
    side = SIZES.get(name, (1, 32))[1]
    pictures = np.random.default_rng(0).random((2, 1, side, side), dtype=np.float32)
    logits = model(Tensor(pictures)).data
    np.testing.assert_array_equal(model(pictures).data, logits)
    np.testing.assert_array_equal(model(list(pictures)).data, logits)


@every_kind
def test_the_columns_of_feature_info_tell_of_the_levels_that_come_out(name, make):
    model = make(name, features_only=True, out_indices=(2, 0))
    every = make(name).feature_info
    for column, field in (
        ("channels", "channels"),
        ("reduction", "reduction"),
        ("module_name", "module"),
        ("receptive_field", "receptive_field"),
    ):
        values = [getattr(level, field) for level in every]
        assert getattr(every, column)() == values
        assert getattr(model.feature_info, column)() == [values[2], values[0]]
        assert getattr(model.feature_info, column)(1) == values[1]
        assert getattr(model.feature_info, column)([-1, 0]) == [values[-1], values[0]]
    assert model.feature_info.channels() == model.out_channels == [maps.shape[1] for maps in model(images(name))]
    assert list(model.feature_info) == list(every)
    with pytest.raises(ValueError, match="idx: level 9 does not exist"):
        model.feature_info.channels(9)


def test_levels_may_be_any_ints_that_can_be_iterated_over():
    def chosen(out_indices):
        return backbones.create("resnet8", width=2, features_only=True, out_indices=out_indices).out_indices

    assert chosen(i for i in (0, -1)) == chosen(np.array([0, 3])) == chosen([np.int64(0), 3]) == [0, 3]
    assert chosen(range(2)) == [0, 1]
    assert chosen(np.int64(2)) == [2, 3]
    for wrong in (True, [True], 1.0, [1.0]):
        with pytest.raises(TypeError, match="out_indices"):
            chosen(wrong)
    with pytest.raises(ValueError, match=r"out_indices=-1 asks for that many last levels, .* with a list, \[-1\]"):
        chosen(-1)
    with pytest.raises(ValueError, match="out_indices: level 4 does not exist"):
        chosen([4])


@every_kind
def test_input_channels_below_one_are_refused_by_the_name_of_the_argument(name, make):
    with pytest.raises(ValueError, match=f"{name}: in_chans must be at least 1, but is 0"):
        make(name, in_chans=0)
    with pytest.raises(TypeError, match="in_chans must be an int, but is str: '3'"):
        make(name, in_chans="3")


@pytest.mark.parametrize("weights", [True, 5, [1], nn.Linear(2, 2)])
def test_weights_of_another_type_are_refused(weights):
    with pytest.raises(TypeError, match=r"weights must be the path of a file, a dictionary .* 'IMAGENET1K_V1', but is"):
        backbones.create("resnet8", weights=weights)


@pytest.mark.parametrize("weights", ["DEFAULT", "resnet18", "IMAGENET1K_V7"])
def test_a_name_that_is_no_set_of_weights_is_refused_beside_those_there_are(weights):
    with pytest.raises(ValueError, match=rf"weights='{weights}': the file does not exist, .* \['IMAGENET1K_V1'\]"):
        backbones.create("resnet18", weights=weights)


def test_levels_are_asked_for_by_number():
    model = backbones.create("resnet8", width=4)
    for indices in (["layer1"], "layer1", 1.5):
        with pytest.raises(TypeError, match=r"(?s)(must hold ints|must be an int or a list).*2  layer2: 8 channels"):
            model.forward_intermediates(Tensor(np.zeros((1, 3, 8, 8), np.float32)), indices)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_shortcut_of_option_a_is_a_slice_and_a_pad_forward_and_backward(stride):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7))
    result = subsample_and_pad_channels(Tensor(x), 8, stride)
    expected = np.pad(x[:, :, ::stride, ::stride], ((0, 0), (2, 3), (0, 0), (0, 0)))
    np.testing.assert_array_equal(result.data, expected)
    assert layout.is_channels_last(result.data)
    gradcheck(lambda a: subsample_and_pad_channels(a, 8, stride), [Tensor(x, requires_grad=True)])


def test_weights_is_another_name_of_weights_info():
    model = backbones.create("resnet8", num_classes=2)
    assert model.weights_info is None
    model.weights = information = object()
    assert model.weights_info is information
    assert model.weights is information
