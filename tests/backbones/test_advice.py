"""What costs an afternoon is said once, and what is right is passed over in silence."""

import warnings

import numpy as np
import pytest

import minicnn
from minicnn import backbones, nn
from minicnn.data.transforms import Normalize
from minicnn.training import reestimate_batch_norm
from minicnn.weights import pretrained


def noise(side=32, n=2, channels=3):
    return np.random.default_rng(0).standard_normal((n, channels, side, side), dtype=np.float32)


def messages(call):
    """The warnings that `call` causes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(each.message) for each in caught]


@pytest.fixture
def residual():
    """A network for photographs that is quick, in evaluation mode."""
    return backbones.create("resnet18", width=2, num_classes=10, seed=0).eval()


def test_a_stem_for_photographs_on_small_images_is_named_with_what_to_do(residual):
    with minicnn.no_grad():
        (said,) = messages(lambda: residual(noise(32)))
        assert "leaves a map of 1x1 of images of 32x32" in said
        assert "stem='small', or enlarge the images to 128x128" in said
        assert not messages(lambda: residual(noise(64)))  # once is enough
    assert not messages(lambda: backbones.create("resnet18", width=2).eval()(noise(128)))
    assert not messages(lambda: backbones.create("resnet18", width=2, stem="small").eval()(noise(32)))


def test_a_map_of_four_by_four_is_enough():
    for side, expected in ((97, 0), (96, 1)):
        model = backbones.create("resnet18", width=2).eval()
        assert model.forward_features(minicnn.Tensor(noise(side))).shape[2] == side // 32 + (side % 32 > 0)
        assert len(messages(lambda model=model, side=side: model(noise(side)))) == expected


def test_evaluation_with_batch_statistics_is_named():
    model = backbones.create("resnet8", width=2, seed=0)
    assert not messages(lambda: model(noise()))  # training: gradients are recorded
    with minicnn.no_grad():
        (said,) = messages(lambda: model(noise()))
        assert "7 of 7 batch norms of CifarResNet (first: 'bn1')" in said
        assert "eval()" in said
        assert not messages(lambda: model(noise()))
        assert not messages(lambda: model.eval()(noise()))


def test_one_layer_that_was_left_in_training_is_found():
    model = backbones.create("resnet8", width=2, seed=0).eval()
    model.layer2.train()
    with minicnn.no_grad():
        (said,) = messages(lambda: model(noise()))
    assert "2 of 7" in said
    assert "'layer2.0.bn1'" in said


def test_measuring_the_statistics_anew_is_no_mistake():
    model = backbones.create("resnet8", width=2, seed=0)
    assert not messages(lambda: reestimate_batch_norm(model, [(noise(), None)]))


@pytest.mark.parametrize("name", ["vgg6", "lenet5"])
def test_a_network_without_batch_norm_has_no_such_mistake(name):
    model = backbones.create(name, in_chans=1, num_classes=10)
    with minicnn.no_grad():
        assert not messages(lambda: model(noise(28 if name == "lenet5" else 32, channels=1)))


def test_pixels_of_0_to_255_are_named_for_every_network():
    model = backbones.create("resnet8", width=2, seed=0).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32)).astype(np.float32)
    (said,) = messages(lambda: model(pixels))
    assert "between 0 and 255" in said
    assert "divide them by 255" in said
    assert not messages(lambda: model(pixels))


def test_pixels_of_0_to_1_are_named_for_photographs_only(residual):
    pixels = np.random.default_rng(0).random((1, 3, 128, 128), dtype=np.float32)
    pixels.ravel()[:2] = 0, 1
    (said,) = messages(lambda: residual(pixels))
    assert "as published weights expect" in said
    for scaled in (pixels * 1.0000002, pixels * 1.06 - 0.03):  # as scaling leaves them
        model = backbones.create("resnet18", width=2).eval()
        assert "as published weights expect" in messages(lambda model=model, scaled=scaled: model(scaled))[0]
    assert not messages(lambda: backbones.create("resnet8", width=2).eval()(pixels[:, :, :32, :32]))
    assert not messages(lambda: backbones.create("resnet18", width=2).eval()(pixels - 0.5))


@pytest.mark.parametrize("mean", [0.02, 0.3, 0.6, 0.75, 0.98])
@pytest.mark.parametrize("contrast", [0.01, 0.1, 0.25])
def test_normalised_photographs_however_dark_bright_or_flat_are_no_mistake(mean, contrast):
    photograph = np.clip(mean + contrast * np.random.default_rng(0).standard_normal((2, 3, 128, 128)), 0, 1)
    for known in ("IMAGENET1K_V1", "IMAGENET1K_FEATURES"):
        information = pretrained("vgg16", known)
        images = Normalize(information.mean, information.std)(photograph.astype(np.float32))
        model = backbones.create("resnet18", width=2).eval()
        model.weights_info = information
        assert not messages(lambda model=model, images=images: model(images))


def test_a_grey_image_of_one_pixel_says_nothing_of_its_range():
    model = backbones.create("resnet8", width=2, in_chans=1).eval()
    for value in (0.5, 255.0):
        assert not messages(lambda value=value: model(np.full((1, 1, 1, 1), value, np.float32)))


def test_a_small_last_map_that_nobody_gets_is_no_mistake():
    for out_indices, expected in (((0, 1, 2), 0), ((0, -1), 1), (None, 1)):
        model = backbones.create("resnet18", width=2, features_only=True, out_indices=out_indices).eval()
        assert len(messages(lambda model=model: model(noise(64)))) == expected


@pytest.mark.parametrize("colour", [0.0, 1.0, 255.0])
def test_images_of_one_colour_tell_nothing(residual, colour):
    assert not messages(lambda: residual(np.full((1, 3, 32, 32), colour, np.float32)))
    assert len(messages(lambda: residual(noise(32)))) == 1


def test_blank_images_tell_nothing(residual):
    assert not messages(lambda: nn.summary(residual, (3, 32, 32)))
    assert len(messages(lambda: residual(noise(32)))) == 1  # and do not use up the one time


def test_maps_of_features_only_are_watched_too():
    model = backbones.create("resnet18", width=2, features_only=True).eval()
    assert len(messages(lambda: model(noise(32)))) == 1


@pytest.mark.parametrize("settings", [{}, {"features_only": True}])
def test_the_warning_points_to_the_line_that_called(settings):
    model = backbones.create("resnet18", width=2, **settings).eval()
    with pytest.warns(UserWarning, match="leaves a map") as caught:
        model(noise(32))
    assert caught[0].filename == __file__
