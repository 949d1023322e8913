"""detect_anomaly: names the operation, the place, the shapes and the module where a bad value first appears."""

import threading

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor, backbones, detect_anomaly, nn
from minicnn.anomaly import is_enabled, module_scope


def leaf(values):
    return Tensor(np.array(values), requires_grad=True)


def test_a_forward_pass_is_stopped_at_the_operation_that_made_the_nan():
    x = leaf([[1.0, 2.0, 3.0], [4.0, -1.0, -2.0]])
    with detect_anomaly(), pytest.raises(FloatingPointError) as caught:
        (x * 2).log().sum()
    message = str(caught.value)
    for part in ["forward of log", "(2, 3)", "nan at index (1, 1)", "first of 2", "all inputs were finite"]:
        assert part in message


def test_an_infinity_counts_too_and_a_bad_input_is_told_apart():
    with detect_anomaly():
        with pytest.raises(FloatingPointError, match=r"forward of div.*inf at index \(1,\).*all inputs were finite"):
            leaf([1.0, 1.0]) / Tensor(np.array([1.0, 0.0]))
        with pytest.raises(FloatingPointError, match=r"forward of mul.*an input was not finite already"):
            leaf([1.0, np.nan]) * 2


def test_a_backward_pass_is_stopped_at_the_operation_whose_gradient_is_bad():
    x = leaf([[4.0, 0.0]])
    with detect_anomaly():
        y = ((x * 3).sqrt() * 2).sum()
        with pytest.raises(FloatingPointError) as caught:
            y.backward()
    message = str(caught.value)
    for part in ["backward of sqrt", "gradient of input 0", "(1, 2)", "inf at index (0, 1)", "first of 1"]:
        assert part in message


def test_the_module_path_is_named_forward_and_backward():
    x = leaf([0.0])
    with detect_anomaly():
        with module_scope("features"), module_scope("3"):
            y = x.sqrt()
            with pytest.raises(FloatingPointError, match=r"forward of log in module 'features.3'"):
                x.log()
        z = y * 2
        with pytest.raises(FloatingPointError, match=r"backward of sqrt in module 'features.3'"):
            z.backward()


def test_a_deep_layer_of_a_network_is_named_forward_and_backward():
    images = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)
    model = backbones.create("resnet8", width=4, seed=0)
    model.layer2[0].conv2.weight.data[1, 0, 0, 0] = np.nan
    with detect_anomaly(), pytest.raises(FloatingPointError) as caught:
        model(Tensor(images))
    message = str(caught.value)
    for part in ["forward of conv2d in module 'layer2.0.conv2'", "(2, 8, 4, 4) has nan at index (0, 1,"]:
        assert part in message

    class Root(nn.Module):
        """Its slope at zero is infinite."""

        def forward(self, x):
            return (x * 0).sqrt()

    model = backbones.create("resnet8", width=4, seed=0)
    model.layer3[0].bn1 = Root()
    with detect_anomaly():
        loss = F.cross_entropy(model(Tensor(images)), [0, 1])
        with pytest.raises(FloatingPointError, match=r"backward of sqrt in module 'layer3\.0\.bn1'"):
            loss.backward()


def test_without_it_bad_values_pass():
    x = leaf([-1.0, 0.0])
    y = x.log()
    y.sum().backward()
    assert np.isnan(y.data[0])
    assert not is_enabled()


def test_it_ends_with_its_block_even_after_an_error():
    with pytest.raises(FloatingPointError), detect_anomaly():
        leaf([-1.0]).log()
    assert not is_enabled()
    with detect_anomaly():
        with detect_anomaly():
            pass
        assert is_enabled()


def test_good_runs_and_integers_pass_through_it():
    with detect_anomaly():
        x = leaf([1.0, 2.0])
        loss = F.cross_entropy(F.relu(x).reshape(1, 2), [1])
        assert Tensor(np.array([1, 2])).sum().item() == 3
        loss.backward()
    assert np.isfinite(x.grad.data).all()


def test_a_bad_gradient_that_was_handed_in_is_told_apart():
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"backward of mul.*was not finite already"):
        (leaf([1.0, 2.0]) * 2).backward(np.array([np.nan, 1.0]))


def test_it_searches_the_thread_that_opened_it_and_no_other():
    seen = []
    with detect_anomaly():
        thread = threading.Thread(target=lambda: seen.append(np.isnan(leaf([-1.0]).log().data[0])))
        thread.start()
        thread.join()
    assert seen == [True]
