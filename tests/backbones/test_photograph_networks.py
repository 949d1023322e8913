"""What is particular to networks for photographs: VGG's large head, GoogLeNet's auxiliary ones, plain networks."""

import numpy as np
import pytest

import minicnn
from minicnn import backbones, optim, training
from minicnn import functional as F
from minicnn.backbones.googlenet import GoogLeNetOutputs
from minicnn.kernels import layout
from minicnn.tensor import Tensor

pytestmark = pytest.mark.filterwarnings("ignore:.*leaves a map of", "ignore:images look unnormalised")


def test_the_papers_head_of_vgg_can_be_cut_and_replaced():
    model = backbones.create("vgg11_bn", width=0.03, seed=0).eval()
    images = np.random.default_rng(0).standard_normal((2, 3, 64, 64), dtype=np.float32)
    vectors = model.forward_head(model.forward_features(Tensor(images)), pre_logits=True)
    assert vectors.shape == (2, model.head_hidden_size) == (2, round(0.03 * 4096))
    model.reset_classifier(3)
    assert model(images).shape == (2, 3)
    assert model.get_submodule("classifier.6").out_features == 3
    bare = backbones.create("vgg11_bn", width=0.03, features_only=True)
    assert [tuple(features.shape[1:]) for features in bare(images)][-1] == (round(0.03 * 512), 2, 2)


def test_the_papers_head_of_vgg_trains_without_a_change_of_layout():
    model = backbones.create("vgg11_bn", width=0.03, seed=0)
    images = layout.as_channels_last(np.random.default_rng(0).random((4, 3, 32, 32), dtype=np.float32))
    optimizer, before = optim.SGD(model.parameters(), lr=0.01), layout.conversions()
    F.cross_entropy(model(minicnn.Tensor(images)), np.arange(4)).backward()
    optimizer.step()
    assert layout.conversions() == before


def test_vgg_as_a_backbone_goes_without_the_papers_head():
    whole, bare = (backbones.create("vgg11", width=0.03, seed=0, head=head).eval() for head in (True, False))
    assert whole.get_submodule("classifier.0").in_features == 49 * 15
    assert sum(parameter.numel() for parameter in bare.classifier.parameters()) == 15 * 1000 + 1000
    images = np.random.default_rng(0).standard_normal((1, 3, 64, 64), dtype=np.float32)
    np.testing.assert_array_equal(bare.forward_features(images).data, whole.forward_features(images).data)
    assert bare(images).shape == (1, 1000)
    features = backbones.create("vgg11", width=0.03, features_only=True)
    assert {name.split(".")[0] for name, _ in features.named_parameters()} == {"features"}


def small_googlenet(**settings):
    return backbones.create("googlenet", num_classes=4, width=0.125, stem="small", seed=0, **settings)


def small_batch(n=4):
    generator = np.random.default_rng(0)
    return generator.standard_normal((n, 3, 32, 32), dtype=np.float32), generator.integers(0, 4, n)


def test_auxiliary_heads_answer_in_training_only():
    model, (images, _) = small_googlenet(aux_logits=True), small_batch()
    outputs = model(images)
    assert isinstance(outputs, GoogLeNetOutputs)
    assert [each.shape for each in outputs] == [(4, 4)] * 3
    assert isinstance(model.eval()(images), Tensor)
    assert isinstance(small_googlenet()(images), Tensor)
    features = small_googlenet(aux_logits=True, features_only=True)
    assert len(features(images)) == len(features.feature_info)


def test_the_auxiliary_loss_weighs_the_heads_as_the_paper_does():
    model, (images, labels) = small_googlenet(aux_logits=True), small_batch()
    outputs = model(images)
    logits, aux2, aux1 = (F.cross_entropy(each, labels).item() for each in outputs)
    assert backbones.auxiliary_loss(outputs, labels).item() == pytest.approx(logits + 0.3 * (aux1 + aux2), rel=1e-6)
    assert backbones.auxiliary_loss(outputs.logits, labels).item() == pytest.approx(logits, rel=1e-6)


def test_a_network_with_auxiliary_heads_is_trained_by_fit():
    model, batch = small_googlenet(aux_logits=True, dropout=0.0, dropout_aux=0.0), small_batch(8)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    records = training.fit(
        model, [batch] * 3, optimizer, epochs=2, loss=backbones.auxiliary_loss, validation=[batch], progress=False
    )
    assert records[1]["loss"] < records[0]["loss"]
    assert 0 <= records[1]["accuracy"] <= 1


def test_resetting_the_classifier_resets_the_auxiliary_ones():
    model = small_googlenet(aux_logits=True)
    model.reset_classifier(7)
    assert [each.shape[1] for each in model(small_batch()[0])] == [7, 7, 7]


def test_transformed_images_have_the_other_normalisation():
    """(0.485, 0.456, 0.406) is the mean: its pixels become (mean - 0.5) / 0.5."""
    model, plain = small_googlenet(transform_input=True).eval(), small_googlenet().eval()
    pixels = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    mean, std = (np.array(each, np.float32)[:, None, None] for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    np.testing.assert_allclose(
        model((pixels - mean) / std).data, plain((pixels - 0.5) / 0.5).data, rtol=1e-3, atol=1e-6
    )
    with pytest.raises(ValueError, match="transform_input=True is for images of 3 channels, but in_chans=1"):
        small_googlenet(transform_input=True, in_chans=1)


def test_the_window_of_the_third_branch_is_torchvisions_or_the_papers():
    kernels = {
        size: small_googlenet(branch3_kernel=size).get_submodule("inception4c.branch3.1.conv").kernel_size
        for size in (3, 5)
    }
    assert kernels == {3: (3, 3), 5: (5, 5)}
    with pytest.raises(ValueError, match=r"branch3_kernel must be 3 .* or 5 .*, but is 7"):
        small_googlenet(branch3_kernel=7)


def test_a_plain_network_is_a_residual_one_without_its_shortcuts():
    """Where a block's own map is nothing, the residual network passes its input on, and the plain one nothing."""
    plain, residual = (backbones.create("resnet8", width=4, shortcut=each, seed=0).eval() for each in ("none", "A"))
    assert list(plain.state_dict()) == list(residual.state_dict())
    for model in (plain, residual):
        model.get_submodule("layer1.0.bn2").weight.data[...] = 0
    images = np.random.default_rng(0).standard_normal((1, 3, 8, 8), dtype=np.float32)
    stem, behind = residual.forward_intermediates(images, [0, 1], intermediates_only=True)
    np.testing.assert_array_equal(behind.data, stem.data)
    assert not plain.forward_intermediates(images, [1], intermediates_only=True)[0].data.any()


def test_widths_and_blocks_below_one_are_refused():
    with pytest.raises(ValueError, match=r"blocks \(of every stage\) must be at least 1"):
        backbones.create("resnet18", blocks=(1, 0, 1, 1))
    with pytest.raises(ValueError, match=r"width \(the channels of the first stage\) must be at least 1"):
        backbones.create("resnet18", width=0)
