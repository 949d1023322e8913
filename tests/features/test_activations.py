import numpy as np
import pytest

from minicnn import backbones, nn
from minicnn.features.activations import average_pool, extract, pool_under_masks


def small_network():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3, stride=2))


def pictures(n=7):
    return np.random.default_rng(0).standard_normal((n, 3, 6, 8)).astype(np.float32)


def test_taps_give_what_the_modules_put_out_batch_size_regardless():
    model, images = small_network(), pictures()
    model.eval()
    whole = extract(model, images, ["0", "2"], batch_size=100)
    in_parts = extract(model, images, ["0", "2"], batch_size=3)
    from minicnn import Tensor, no_grad

    with no_grad():
        first = model[0](Tensor(images)).data
        third = model[2](model[1](model[0](Tensor(images)))).data
    for one in (whole, in_parts):
        np.testing.assert_allclose(one["0"], first, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(one["2"], third, rtol=1e-6, atol=1e-6)


def test_modes_and_statistics_are_as_before_and_no_hook_is_left():
    model = small_network()
    model.train()
    model[2].eval()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    extract(model, pictures(), ["1"])
    assert [module.training for module in model] == [True, True, False, True]
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert all(not module._forward_hooks for module in model.modules())


def test_hooks_are_gone_after_an_error_too():
    model = small_network()
    with pytest.raises(ValueError, match="channels"):
        extract(model, np.zeros((1, 2, 6, 8), np.float32), ["0"])
    assert all(not module._forward_hooks for module in model.modules())


def test_an_unknown_tap_names_those_there_are():
    with pytest.raises(ValueError, match=r"'layer9'.*'0', '1', '2', '3'"):
        extract(small_network(), pictures(), ["layer9"])


@pytest.mark.parametrize("name", ["vgg16_bn", "googlenet", "resnet50"])
def test_any_module_of_a_backbone_can_be_tapped(name, narrow):
    model = backbones.create(name, seed=0, **narrow(name, num_classes=10)).eval()
    taps = [path for path, _ in model.named_modules() if path]
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    maps = extract(model, images, taps)
    assert list(maps) == taps
    for level, expected in zip(
        model.feature_info, model.forward_intermediates(images, intermediates_only=True), strict=True
    ):
        np.testing.assert_array_equal(maps[level.module], expected.data)
    assert all(not module._forward_hooks for module in model.modules())


def test_it_is_offered_by_the_package_and_takes_tensors_as_well():
    from minicnn import Tensor, features

    assert features.extract is extract
    model, images = small_network(), pictures()
    np.testing.assert_array_equal(extract(model, Tensor(images), ["2"])["2"], extract(model, images, ["2"])["2"])


def test_taps_that_are_one_name_and_images_that_are_none_are_refused():
    with pytest.raises(TypeError, match=r"taps must be a list of module names, but is text: write \['2'\]"):
        extract(small_network(), pictures(), "2")
    with pytest.raises(ValueError, match=r"images must hold at least one, but has shape \(0, 3, 6, 8\)"):
        extract(small_network(), pictures(0), ["2"])


def test_a_module_that_does_not_run_is_named():
    model = backbones.create("googlenet", width=0.1, stem="small", aux_logits=True)
    with pytest.raises(ValueError, match=r"tap 'aux1\.fc1' was not run: .* in evaluation"):
        extract(model, np.zeros((1, 3, 32, 32), np.float32), ["aux1.fc1"])
    assert all(not module._forward_hooks for module in model.modules())


def test_a_module_that_puts_out_several_maps_is_named():
    model = nn.Sequential(nn.MaxPool2d(2, return_indices=True))
    with pytest.raises(ValueError, match="tap '0' puts out tuple"):
        extract(model, pictures(), ["0"])


def test_reduce_sees_each_batch_with_its_slice():
    seen = []

    def reduce(maps, which):
        seen.append((which.start, which.stop, maps.shape))
        return average_pool(maps, which)

    result = extract(small_network(), pictures(), ["3"], reduce=reduce, batch_size=4)
    assert seen == [(0, 4, (4, 5, 2, 3)), (4, 7, (3, 5, 2, 3))]
    assert result["3"].shape == (7, 5)


def test_pooling_under_masks_is_the_weighted_mean_spelt_out():
    generator = np.random.default_rng(0)
    maps = generator.standard_normal((2, 3, 2, 4))
    masks = generator.random((2, 5, 6, 8)) > 0.5
    pooled = pool_under_masks(maps, masks)
    for n in range(2):
        for k in range(5):
            total, weight = np.zeros(3), 0.0
            for y in range(6):
                for x in range(8):
                    if masks[n, k, y, x]:
                        total += maps[n, :, y // 3, x // 2]
                        weight += 1
            np.testing.assert_allclose(pooled[n, k], total / weight)


def test_an_empty_mask_gives_zeros_and_a_size_that_does_not_divide_is_refused():
    assert not pool_under_masks(np.ones((1, 2, 4, 4)), np.zeros((1, 1, 8, 8))).any()
    with pytest.raises(ValueError, match="7x8 can't be averaged to maps of 4x4"):
        pool_under_masks(np.ones((1, 2, 4, 4)), np.zeros((1, 1, 7, 8)))
