"""The engine: graphs of every form, what is kept and for how long, and the errors that say what to do."""

import gc
import sys
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import Tensor, autograd, no_grad
from minicnn.anomaly import detect_anomaly
from minicnn.engine import topological_order
from minicnn.kernels import layout
from minicnn.tensor import make_result


def leaf(*shape, seed=0, dtype=np.float64):
    return Tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype), requires_grad=True)


# Graphs


def test_a_value_used_several_times_gets_the_sum():
    x = leaf(3)
    (x * x + x * 3 + x).sum().backward()
    np.testing.assert_allclose(x.grad.data, 2 * x.data + 4)


def test_a_diamond_of_25_storeys_is_walked_once():
    x = Tensor(np.array(1.0), requires_grad=True)
    calls = 0
    y = x
    for _ in range(25):
        value = y.data

        def backward(gradient):
            nonlocal calls
            calls += 1
            return gradient, gradient

        y = make_result(value + value, (y, y), backward, "double")
    y.backward()
    assert calls == 25
    assert x.grad.item() == 2.0**25


def test_branches_of_different_length_meet_before_they_go_on():
    x = leaf(2, 3)
    y = x * 2
    long = y
    for _ in range(5):
        long = long * 3
    (y + long).sum().backward()
    np.testing.assert_allclose(x.grad.data, np.full((2, 3), 2 * (1 + 3**5)))


def test_a_chain_of_10_000_operations_runs_back_in_linear_time():
    def seconds(length):
        x = Tensor(np.array(0.0), requires_grad=True)
        y = x
        for _ in range(length):
            y = y + 1
        start = time.process_time()  # of this process alone: others may keep the machine busy
        y.backward()
        assert x.grad.item() == 1
        return time.process_time() - start

    gc.disable()
    try:
        short, long = min(seconds(1_000) for _ in range(5)), min(seconds(10_000) for _ in range(3))
    finally:
        gc.enable()
    assert long < 40 * short  # 10 if linear, 100 if quadratic


def test_a_deep_graph_that_is_dropped_does_not_overflow_the_stack():
    y = leaf(1).exp()
    kept = weakref.ref(y.data)  # exp's backward needs its result
    for _ in range(20_000):
        y = y + 1
    assert kept() is not None
    del y
    assert kept() is None


@settings(max_examples=40)
@given(data=st.data())
def test_random_graphs_agree_with_torch(data):
    torch = pytest.importorskip("torch")
    seed = data.draw(st.integers(0, 2**20))
    generator = np.random.default_rng(seed)
    arrays = [generator.uniform(0.5, 1.5, shape) for shape in [(2, 3), (3,), (2, 1), ()]]
    ours = [Tensor(array, requires_grad=True) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    pool, other = list(ours), list(theirs)
    for _ in range(data.draw(st.integers(1, 12))):
        operation = data.draw(st.sampled_from(["add", "sub", "mul", "div", "maximum", "exp", "sum", "reuse"]))
        i, j = (data.draw(st.integers(0, len(pool) - 1)) for _ in range(2))
        for values in (pool, other):
            a, b = values[i], values[j]
            values.append(
                {
                    "add": lambda a, b: a + b,
                    "sub": lambda a, b: a - b,
                    "mul": lambda a, b: a * b * 0.5,
                    "div": lambda a, b: a / (b * b + 1),
                    "maximum": lambda a, b: a.maximum(b),
                    "exp": lambda a, b: (a * 0.1 - b * b * 0.1 - 1).exp(),
                    "sum": lambda a, b: a.sum() * 0.1 + b,
                    "reuse": lambda a, b: a + a * a * 0.1,
                }[operation](a, b)
            )
    gradient = generator.standard_normal(pool[-1].shape)
    if not any(value.is_leaf for value in pool[-1:]):
        pool[-1].backward(gradient)
        other[-1].backward(torch.tensor(gradient))
    np.testing.assert_allclose(pool[-1].data, other[-1].detach().numpy(), rtol=1e-10)
    for x, y in zip(ours, theirs, strict=True):
        assert (x.grad is None) == (y.grad is None)
        if x.grad is not None:
            assert x.grad.shape == x.shape
            np.testing.assert_allclose(x.grad.data, y.grad.numpy(), rtol=1e-8, atol=1e-9)


# Aliasing and accumulation


@pytest.mark.parametrize(
    "operation",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: F.concat([a, b]),
        lambda a, b: F.stack([a, b]),
        lambda a, b: F.maximum(a, b),
        lambda a, b: a.reshape(6) + b.flatten(),
        lambda a, b: a.transpose(0, 1) + b.T,
    ],
)
def test_gradients_share_no_memory(operation):
    a, b = leaf(2, 3, seed=1), leaf(2, 3, seed=2)
    result = operation(a, b)
    gradient = np.ones(result.shape)
    result.backward(gradient)
    for one, two in [(a.grad.data, b.grad.data), (a.grad.data, gradient), (b.grad.data, gradient)]:
        assert not np.shares_memory(one, two)
    before = b.grad.data.copy()
    a.grad.data += 100  # writable, and nobody else's
    np.testing.assert_array_equal(b.grad.data, before)
    assert (gradient == 1).all()


def test_a_gradient_that_was_broadcast_is_writable_and_its_own():
    x = leaf(2, 3)
    x.sum().backward()
    x.grad.data[0, 0] = 7
    np.testing.assert_array_equal(x.grad.data, [[7, 1, 1], [1, 1, 1]])


def test_a_retained_gradient_is_not_that_of_the_leaf():
    x = leaf(3)
    y = x + 0
    y.retain_grad()
    y.sum().backward()
    y.grad.data += 5
    np.testing.assert_array_equal(x.grad.data, np.ones(3))


def test_gradients_add_up_over_backwards_without_touching_the_old_array():
    x = leaf(3)
    (x * 2).sum().backward()
    first = x.grad.data
    (x * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.full(3, 5))
    np.testing.assert_array_equal(first, np.full(3, 2))


def test_no_backward_changes_the_gradient_it_gets_or_its_inputs():
    x, y = leaf(2, 3), leaf(2, 3, seed=1)
    before = x.data.copy(), y.data.copy()
    result = F.maximum(x * y, x / y) - F.relu(x)
    gradient = np.random.default_rng(2).standard_normal((2, 3))
    copy = gradient.copy()
    result.backward(gradient)
    np.testing.assert_array_equal(gradient, copy)
    np.testing.assert_array_equal((x.data, y.data), before)


# Broadcasting, dtype, layout: done once, by the engine


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (1, 3), (1, 1), (5, 2, 3), (5, 1, 1)])
def test_the_gradient_of_a_broadcast_operand_is_summed_to_its_shape(shape):
    x, y = leaf(2, 3), leaf(*shape, seed=1)
    gradient = np.random.default_rng(2).standard_normal(np.broadcast_shapes((2, 3), shape))
    (x + y).backward(gradient)
    for tensor in (x, y):
        expected = np.zeros(tensor.shape)
        for index in np.ndindex(gradient.shape):
            own = index[len(index) - tensor.ndim :]
            expected[tuple(0 if size == 1 else i for i, size in zip(own, tensor.shape, strict=True))] += gradient[index]
        np.testing.assert_allclose(tensor.grad.data, expected)


def test_a_gradient_has_the_dtype_of_its_value():
    x, y = leaf(3, dtype=np.float32), leaf(3, dtype=np.float64)
    (x * y).sum().backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64


def test_a_gradient_lies_in_memory_as_its_value_does():
    image = Tensor(layout.zeros((2, 3, 4, 5), np.float32), requires_grad=True)
    weight = Tensor(np.zeros((2, 3, 4, 5), np.float32), requires_grad=True)
    (image * 2).reshape(2, 60).sum().backward()
    (weight * 2).sum().backward()
    assert layout.is_channels_last(image.grad.data)
    assert weight.grad.data.flags.c_contiguous


# Freeing and keeping


def test_a_second_backward_says_that_the_graph_is_gone():
    x = leaf(3)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"second time.*retain_graph=True"):
        y.backward()
    np.testing.assert_allclose(x.grad.data, 2 * x.data)  # and nothing was added


def test_a_second_backward_through_a_shared_part_says_so_too():
    x = leaf(3)
    shared = x * x
    shared.sum().backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        (shared * 2).sum().backward()


def test_retain_graph_keeps_the_graph():
    x = leaf(3)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad.data, 4 * x.data)


def test_backward_of_a_leaf_can_be_repeated():
    x = leaf(1)
    x.backward()
    x.backward()
    assert x.grad.tolist() == [2]


def test_arrays_die_with_the_backward_that_needed_them():
    gc.disable()
    try:
        doubled = leaf(1000) * 2
        active = F.relu(doubled)
        not_needed, needed = weakref.ref(doubled.data), weakref.ref(active.data)
        loss = (active + 1).sum()
        del doubled, active
        assert not_needed() is None
        assert needed() is not None  # relu's backward reads the signs of its result
        loss.backward()
        assert needed() is None  # though the loss is still there
    finally:
        gc.enable()


def test_no_operation_keeps_what_its_backward_does_not_name():
    gc.disable()
    try:
        x = leaf(10)
        middle = x + 1
        reference = weakref.ref(middle)
        result = middle + 2
        del middle
        assert reference() is None
        result.sum().backward()
    finally:
        gc.enable()


def test_intermediate_gradients_are_dropped_unless_asked_for():
    x = leaf(3)
    y, z = x * 2, x * 3
    y.retain_grad()
    (y * z).sum().backward()
    assert z.grad is None
    np.testing.assert_allclose(y.grad.data, z.data)


def test_memory_is_flat_over_50_steps_with_the_garbage_collector_off():
    generator = np.random.default_rng(0)
    w1, w2 = leaf(20, 50), leaf(5, 20)
    images, labels = generator.standard_normal((64, 50)), generator.integers(0, 5, 64)

    def step():
        hidden = F.dropout(F.relu(F.linear(Tensor(images), w1)), 0.3)
        loss = F.cross_entropy(F.linear(hidden, w2), labels)
        w1.grad = w2.grad = None
        loss.backward()
        for weight in (w1, w2):
            weight.data = weight.data - 0.1 * weight.grad.data

    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(5):
            step()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(50):
            step()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 100_000  # Python's free lists fill by 600 bytes a step; one array kept would be 200,000


def test_a_leaf_dies_without_the_garbage_collector():
    gc.disable()
    try:
        x = leaf(3)
        kept = weakref.ref(x)
        (x * 2).sum().backward()
        del x
        assert kept() is None
    finally:
        gc.enable()


def test_a_graph_that_never_ran_backward_dies_without_the_garbage_collector():
    gc.disable()
    try:
        x = leaf(10)
        y = F.relu(x * 2)
        y.retain_grad()
        references = [weakref.ref(y), weakref.ref(y.data)]  # relu's node holds the array
        del y
        assert [reference() for reference in references] == [None, None]
        reference = weakref.ref(x)
        del x
        assert reference() is None
    finally:
        gc.enable()


def test_a_backward_that_fails_leaves_no_half_gradient_behind():
    x = leaf(3)
    y = x * 2

    def broken(gradient):
        raise ZeroDivisionError

    z = make_result(y.data, (y,), broken, "broken")
    with pytest.raises(ZeroDivisionError):
        (y + z).sum().backward(retain_graph=True)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.full(3, 2))


# Modes


def test_no_grad_records_nothing_and_ends_even_after_an_error():
    x = leaf(3)
    with no_grad():
        y = x * 2
        assert not autograd.is_grad_enabled()
    assert not y.requires_grad
    assert y.node is None
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert autograd.is_grad_enabled()
    with no_grad(), no_grad():
        pass
    assert (x * 2).requires_grad


def test_detach_stops_the_gradient():
    x = leaf(3)
    (x * x.detach()).sum().backward()
    np.testing.assert_allclose(x.grad.data, x.data)


def test_inputs_that_require_no_gradient_get_none():
    x, y = leaf(3), Tensor(np.ones(3))
    (x * y).sum().backward()
    assert y.grad is None


# Hooks


def test_a_hook_sees_the_whole_gradient_once_and_may_replace_it():
    x = leaf(3)
    y = x * 2
    seen = []
    y.register_hook(lambda gradient: seen.append(gradient.data.copy()))
    remove = y.register_hook(lambda gradient: gradient * 10)
    (y * 3 + y).sum().backward(retain_graph=True)
    np.testing.assert_array_equal(seen, [np.full(3, 4)])
    np.testing.assert_array_equal(x.grad.data, np.full(3, 80))
    remove()
    remove()
    x.grad = None
    (y * 1).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.full(3, 2))


def test_a_hook_on_a_leaf_changes_what_is_kept():
    x = leaf(2)
    x.register_hook(lambda gradient: gradient * -1)
    (x * 1).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [-1, -1])


def test_hooks_and_retain_grad_need_a_gradient():
    for call in (lambda: Tensor([1.0]).register_hook(print), lambda: Tensor([1.0]).retain_grad()):
        with pytest.raises(RuntimeError, match="needs a Tensor that requires a gradient, but this one"):
            call()


def test_retain_grad_on_a_leaf_does_not_count_twice():
    x = leaf(2)
    x.retain_grad()
    (x * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [3, 3])


# Errors


def test_backward_errors_say_what_to_do():
    x = leaf(2, 3)
    with pytest.raises(ValueError, match=r"needs a Tensor of one element.*\(2, 3\).*\.sum\(\) or \.mean\(\)"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\), but the Tensor has shape \(2, 3\)"):
        (x * 2).backward(np.ones(3))
    with pytest.raises(RuntimeError, match=r"backward\(\) needs a Tensor that requires a gradient"):
        Tensor([1.0]).backward()
    with pytest.raises(NotImplementedError, match=r"create_graph=True.*central differences"):
        x.sum().backward(create_graph=True)


# autograd.grad


def test_grad_returns_gradients_and_touches_no_dot_grad():
    x, y = leaf(3), leaf(3, seed=1)
    middle = x * y
    loss = (middle * middle).sum()
    to_x, to_middle = autograd.grad(loss, [x, middle])
    np.testing.assert_allclose(to_x.data, 2 * x.data * y.data**2)
    np.testing.assert_allclose(to_middle.data, 2 * middle.data)
    assert x.grad is y.grad is middle.grad is None


def test_grad_says_which_input_was_not_used():
    x, y = leaf(3), leaf(3, seed=1)
    with pytest.raises(ValueError, match=r"input 1 of grad\(\) \(shape \(3,\)\) was not used.*allow_unused=True"):
        autograd.grad(x.sum(), [x, y])
    assert autograd.grad(x.sum(), [x, y], allow_unused=True)[1] is None
    with pytest.raises(ValueError, match=r"input 0 .* does not require a gradient"):
        autograd.grad(x.sum(), Tensor([1.0]))
    with pytest.raises(RuntimeError, match="needs an output that requires a gradient"):
        autograd.grad(Tensor(1.0), x)


def test_grad_leaves_a_retained_grad_alone_and_refuses_gradients_of_gradients():
    x = leaf(3)
    middle = x * 2
    middle.retain_grad()
    autograd.grad(middle.sum(), x)
    assert middle.grad is None
    with pytest.raises(NotImplementedError, match=r"create_graph=True.*central differences"):
        autograd.grad(x.sum(), x, create_graph=True)


def test_retain_grad_counts_once_and_keeps_what_the_hooks_made():
    x = leaf(3)
    middle = x * 2
    middle.retain_grad()
    middle.retain_grad()
    middle.register_hook(lambda gradient: gradient * 10)
    middle.sum().backward()
    np.testing.assert_array_equal(middle.grad.data, np.full(3, 10.0))
    np.testing.assert_array_equal(x.grad.data, np.full(3, 20.0))


def test_asking_for_the_same_again_keeps_hooks_and_graphs():
    x = leaf(3)
    x.register_hook(lambda gradient: gradient * 10)
    loss = x.sum()
    x.requires_grad_()
    (to_x,) = autograd.grad(loss, x)
    np.testing.assert_array_equal(to_x.data, np.full(3, 10.0))


def test_requires_grad_can_be_assigned():
    x = Tensor([1.0, 2.0])
    x.requires_grad = True
    (x * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [3.0, 3.0])
    x.requires_grad = False
    assert not (x * 3).requires_grad
    with pytest.raises(TypeError, match="only floating-point Tensors"):
        Tensor([1, 2]).requires_grad = True


def test_a_thread_inside_no_grad_stops_no_other_threads_recording():
    inside, looked = threading.Event(), threading.Event()

    def evaluate():
        with autograd.no_grad():
            inside.set()
            looked.wait(10)

    thread = threading.Thread(target=evaluate)
    thread.start()
    assert inside.wait(10)
    recorded = (leaf(3) * 2).requires_grad
    looked.set()
    thread.join()
    assert recorded


def test_a_hook_must_return_a_gradient_of_the_same_shape():
    x = leaf(3)
    x.register_hook(lambda gradient: gradient.sum())
    with pytest.raises(ValueError, match=r"hook on Node\(leaf, shape=\(3,\)\) returned a gradient of shape \(\)"):
        x.sum().backward()


def test_a_hook_that_removes_itself_skips_no_other_hook():
    x = leaf(2)
    calls, remove = [], []

    def once(gradient):
        calls.append("once")
        remove[0]()

    remove.append(x.register_hook(once))
    x.register_hook(lambda gradient: calls.append("always"))
    for _ in range(2):
        (x * 2).sum().backward()
    assert calls == ["once", "always", "always"]


def test_a_hook_that_changes_its_gradient_in_place_changes_no_other_branch():
    x, y = leaf(2), leaf(2, seed=1)
    right = y * 1

    def silence(gradient):
        gradient.data[...] = 0

    right.register_hook(silence)
    cotangent = np.array([2.0, 3.0])
    ((x * 1) + right).backward(cotangent)
    np.testing.assert_array_equal(x.grad.data, [2, 3])
    np.testing.assert_array_equal(y.grad.data, [0, 0])
    np.testing.assert_array_equal(cotangent, [2, 3])


def test_a_backward_inside_a_hook_loses_no_gradient():
    w = Tensor(np.array([3.0]), requires_grad=True)
    z = w * 2
    inner = []
    z.register_hook(lambda gradient: inner.extend(autograd.grad((w * 5).sum(), [w])))
    ((z * 1) + (w * w)).sum().backward()
    assert w.grad.item() == 2 + 2 * 3
    assert inner[0].item() == 5


def test_threads_that_share_a_leaf_lose_no_gradient():
    w = Tensor(np.ones(1000), requires_grad=True)

    def work():
        for _ in range(200):
            (w * 1).backward(np.ones(1000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns as often as they can
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    np.testing.assert_array_equal(w.grad.data, np.full(1000, 800.0))


@pytest.mark.parametrize("shape", [(6,), (3, 2), (1, 6), (2, 3, 1), (2, 1), (3,), ()])
def test_a_backward_must_return_a_shape_that_its_input_could_be_broadcast_to(shape):
    w = leaf(2, 3)
    result = make_result(np.float64(1), (w,), lambda gradient: (np.ones(shape),), "wrong")
    with pytest.raises(ValueError, match=r"returned a gradient of shape .* for Node\(leaf, shape=\(2, 3\)\)"):
        result.backward()
    assert w.grad is None


def test_an_input_that_was_not_given_is_none():
    x = leaf(3)
    result = make_result(x.data * 2, (x, None), lambda gradient: (gradient * 2, None), "double")
    with detect_anomaly():
        result.sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.full(3, 2))


def test_topological_order_stops_at_known_nodes():
    x = leaf(2)
    y = x * 2
    z = y + 1
    assert [node.name for node in topological_order(z.node)] == ["add", "mul", "leaf"]
    assert topological_order(z.node, {y.node}) == [z.node]
    assert topological_order(z.node, {z.node}) == []


def test_enable_grad_records_inside_no_grad():
    x = leaf(3)
    with autograd.no_grad():
        with autograd.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
