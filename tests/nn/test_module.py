"""What a Module finds, says, and does with modes, hooks and errors."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.kernels import layout
from minicnn.nn import Parameter
from minicnn.tensor import Tensor


class Block(nn.Module):
    def __init__(self, channels=4):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.scale = Parameter(np.ones(1, np.float32))
        self.register_buffer("offset", np.zeros(1, np.float32))

    def forward(self, x):
        return self.norm(self.conv(x)) * self.scale + self.offset


def network():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.Sequential(Block(), nn.ReLU()), nn.Flatten(), nn.Linear(36, 2)
    )


def images(n=2, channels=3, side=3):
    return Tensor(np.random.default_rng(0).standard_normal((n, channels, side, side), dtype=np.float32))


# What it finds


def test_names_follow_torchs_order_own_parameters_then_buffers_then_children():
    assert list(Block().state_dict()) == [
        "scale", "offset", "conv.weight", "conv.bias",
        "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
    ]  # fmt: skip
    assert [name for name, _ in Block().named_parameters()] == [
        "scale", "conv.weight", "conv.bias", "norm.weight", "norm.bias",
    ]  # fmt: skip


def test_modules_come_parents_first_in_the_order_of_assignment():
    assert [name for name, _ in network().named_modules()] == [
        "", "0", "1", "1.0", "1.0.conv", "1.0.norm", "1.1", "2", "3",
    ]  # fmt: skip
    assert [name for name, _ in network().named_children()] == ["0", "1", "2", "3"]


def test_a_shared_parameter_and_a_shared_module_are_listed_once_and_saved_under_each_name():
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    assert len(list(model.parameters())) == 2
    assert len(list(model.modules())) == 3
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_a_submodule_is_found_by_its_path_and_a_wrong_path_names_what_is_there():
    model = network()
    assert model.get_submodule("1.0.conv") is model[1][0].conv
    assert model.get_submodule("") is model
    with pytest.raises(
        AttributeError, match=r"Block at '1\.0' has no child 'convolution'; its children: 'conv', 'norm'"
    ):
        model.get_submodule("1.0.convolution.weight")


def test_a_misspelt_attribute_raises_and_names_close_ones():
    with pytest.raises(AttributeError, match=r"Conv2d has no attribute 'wieght'; did you mean 'weight'"):
        nn.Conv2d(1, 1, 1).wieght  # noqa: B018
    assert not hasattr(Block(), "colour")


def test_assignment_before_init_and_of_a_wrong_kind_are_refused():
    class Careless(nn.Module):
        def __init__(self):
            self.layer = nn.ReLU()

    with pytest.raises(AttributeError, match=r"before super\(\).__init__\(\)"):
        Careless()

    class Forgetful(nn.Module):
        def __init__(self):
            self.sizes = [3]

        def forward(self, x):
            return x

    with pytest.raises(AttributeError, match=r"Forgetful was used before super\(\).__init__\(\)"):
        Forgetful()(1)
    block = Block()
    with pytest.raises(TypeError, match=r"Block\.scale is a Parameter"):
        block.scale = 3.0
    with pytest.raises(TypeError, match=r"Block\.conv is a Module"):
        block.conv = lambda x: x
    with pytest.raises(TypeError, match=r"child 'x' must be a Module, but is int: 3$"):
        block.add_module("x", 3)
    with pytest.raises(TypeError, match=r"child '0' must be a Module, but is list.*Sequential\(\*layers\)"):
        nn.Sequential([nn.ReLU()])
    with pytest.raises(TypeError, match=r"is type.*; a class makes a Module when it is called: ReLU\(\)"):
        nn.Sequential(nn.ReLU)
    with pytest.raises(TypeError, match=r"is function.*; a function is called in forward\(\)"):
        nn.Sequential(minicnn.functional.relu)
    with pytest.raises(ValueError, match="without the dot"):
        block.add_module("a.b", nn.ReLU())


def test_an_attribute_can_be_replaced_dropped_and_deleted():
    block = Block()
    block.scale = Parameter(np.full(1, 2.0, np.float32))
    assert block.scale.item() == 2.0
    block.norm = nn.Identity()
    assert "norm.weight" not in block.state_dict()
    block.scale = None
    assert block.scale is None
    assert "scale" not in block.state_dict()
    del block.conv
    assert not hasattr(block, "conv")


def test_a_deep_copy_is_independent_and_trains_itself():
    model = nn.Linear(2, 1)
    twin = copy.deepcopy(model)
    twin(Tensor(np.ones((1, 2), np.float32))).sum().backward()
    assert twin.weight.grad is not None
    assert model.weight.grad is None
    twin.weight.data += 1
    assert not np.array_equal(model.weight.data, twin.weight.data)


def test_apply_reaches_children_first():
    seen = []
    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh()))
    assert model.apply(lambda module: seen.append(type(module).__name__)) is model
    assert seen == ["ReLU", "Tanh", "Sequential", "Sequential"]


def test_double_and_float_convert_floats_and_leave_counters():
    model = Block().double()
    assert model.conv.weight.dtype == model.norm.running_mean.dtype == np.float64
    assert model.norm.num_batches_tracked.dtype == np.int64
    assert model.float().scale.dtype == np.float32


# Modes and freezing


def test_train_and_eval_reach_everything():
    model = network().eval()
    assert not any(module.training for module in model.modules())
    assert all(module.training for module in model.train().modules())


def test_a_frozen_part_keeps_parameters_statistics_and_mode_through_training():
    model = network()
    model[1].freeze()
    frozen = copy.deepcopy(model[1].state_dict())
    before = model.state_dict()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        model.train()
        optimizer.zero_grad()
        (model(images()) ** 2).sum().backward()
        optimizer.step()
    for name, array in model[1].state_dict().items():
        assert array.tobytes() == frozen[name].tobytes(), name
    assert not np.array_equal(model.state_dict()["0.weight"], before["0.weight"])  # gradients pass through
    assert not model[1][0].norm.training
    assert model[0].training


def test_freezing_drops_gradients_so_that_no_optimiser_moves_it_once_more():
    layer = nn.Linear(2, 1)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    layer(Tensor(np.ones((1, 2), np.float32))).sum().backward()
    before = layer.freeze().state_dict()
    optimizer.step()
    np.testing.assert_equal(layer.state_dict(), before)


def test_unfreezing_makes_it_trainable_again():
    model = network()
    model.freeze().unfreeze().train()
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


# Hooks and errors


def test_a_hook_sees_and_replaces_the_output_and_is_gone_afterwards():
    layer, seen = nn.ReLU(), []

    def hook(module, inputs, output):
        seen.append((module, inputs[0].data.tolist(), output.data.tolist()))
        return output * 10

    x = Tensor(np.array([-1.0, 2.0]))
    with layer.register_forward_hook(hook):
        assert nn.Sequential(layer)(x).tolist() == [0, 20]
    assert seen == [(layer, [-1.0, 2.0], [0.0, 2.0])]
    assert layer(x).tolist() == [0, 2]


def test_a_hook_stays_until_its_handle_removes_it():
    layer, seen = nn.ReLU(), []
    handle = layer.register_forward_hook(lambda *call: seen.append("first"))
    other = layer.register_forward_hook(lambda *call: seen.append("second"))
    layer(Tensor(np.ones(1)))
    handle.remove()
    handle.remove()
    layer(Tensor(np.ones(1)))
    assert seen == ["first", "second", "second"]
    other.remove()
    assert layer._forward_hooks == []


def test_a_hook_may_remove_itself():
    layer, seen = nn.ReLU(), []

    def once(*call):
        seen.append(1)
        handle.remove()

    handle = layer.register_forward_hook(once)
    layer(Tensor(np.ones(1)))
    layer(Tensor(np.ones(1)))
    assert seen == [1]


class OneLayer(nn.Module):
    def __init__(self, name):
        super().__init__()
        setattr(self, name, nn.Linear(4, 4))
        self.name = name

    def forward(self, x):
        return getattr(self, self.name)(x)


@pytest.mark.parametrize("name", ["frozen", "fused", "fusable"])
def test_a_child_may_have_the_name_of_a_flag(name):
    model = OneLayer(name)
    layer = getattr(model, name)
    x = Tensor(np.ones((1, 4), np.float32))
    np.testing.assert_array_equal(model(x).data, layer(x).data)
    assert list(model.state_dict()) == [f"{name}.weight", f"{name}.bias"]
    assert not model.freeze().train().training
    assert not layer.weight.requires_grad
    assert model.unfreeze().train().training
    assert optim.ExponentialMovingAverage(model).module.get_submodule(name) is not layer
    fused = nn.fuse(model)
    np.testing.assert_array_equal(fused(x).data, model(x).data)
    with pytest.raises(RuntimeError, match="made by fuse"):
        fused.train()


def test_flags_tell_what_was_done():
    model = nn.Linear(2, 2)
    assert (model.frozen, model.fused) == (False, False)
    assert model.freeze().frozen
    assert nn.fuse(model).fused


@pytest.mark.parametrize("name", ["training", "_modules", "_frozen"])
def test_a_child_with_the_name_of_an_attribute_of_every_module_is_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' is the name of an attribute of every Module"):
        nn.ModuleDict({name: nn.ReLU()})
    with pytest.raises(ValueError, match=f"'{name}' is the name of an attribute of every Module"):
        OneLayer(name)


@pytest.mark.parametrize("name", ["forward", "train", "parameters", "state_dict"])
def test_a_child_that_an_attribute_of_the_class_would_hide_is_refused(name):
    with pytest.raises(
        ValueError, match=rf"OneLayer\.{name} is an attribute of the class, which would hide the Linear"
    ):
        OneLayer(name)


def test_names_of_methods_are_free_in_a_module_dict():
    layers = nn.ModuleDict({"values": nn.ReLU(), "forward": nn.Tanh()})
    assert isinstance(layers["values"], nn.ReLU)
    assert list(layers.keys()) == ["values", "forward"]


def test_a_module_that_stands_in_two_places_is_applied_to_once():
    shared, seen = nn.Linear(2, 2), []
    nn.Sequential(shared, nn.ReLU(), shared).apply(seen.append)
    assert seen.count(shared) == 1
    assert len(seen) == 3


def test_a_model_and_its_optimiser_can_be_pickled_and_go_on_as_before():
    def step(model, optimizer):
        optimizer.zero_grad()
        (model(images(channels=4, side=5)) ** 2).sum().backward()
        optimizer.step()

    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    step(model, optimizer)
    twin, its_optimizer = pickle.loads(pickle.dumps((model, optimizer)))
    assert all(isinstance(parameter, Parameter) and parameter.requires_grad for parameter in twin.parameters())
    for _ in range(2):
        step(model, optimizer)
        step(twin, its_optimizer)
    np.testing.assert_equal(twin.state_dict(), model.state_dict())


@pytest.mark.parametrize("requires_grad", [False, True])
def test_a_tensor_can_be_pickled_in_its_memory_order(requires_grad):
    values = layout.empty((2, 3, 4, 5), np.float32)
    values[...] = np.random.default_rng(0).random(values.shape)
    twin = pickle.loads(pickle.dumps(Tensor(values, requires_grad=requires_grad)))
    np.testing.assert_array_equal(twin.data, values)
    assert twin.data.strides == values.strides
    assert twin.requires_grad == requires_grad
    assert twin.is_leaf


def test_a_result_can_not_be_pickled():
    result = Tensor(np.ones(2), requires_grad=True) * 2
    with pytest.raises(RuntimeError, match=r"mul.*made this Tensor; .*\.detach\(\)"):
        pickle.dumps(result)


def test_a_hook_is_gone_even_after_an_error():
    layer = nn.ReLU()
    calls = []
    with pytest.raises(RuntimeError, match="stop"), layer.register_forward_hook(lambda *_: calls.append(1)):
        raise RuntimeError("stop")
    layer(Tensor(np.ones(1)))
    assert calls == []


def test_an_error_names_the_innermost_layer_once_with_its_whole_path():
    model = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ModuleList([]), nn.Sequential(Block(4)))
    model[1] = nn.Identity()
    with pytest.raises(ValueError, match="5 channels") as caught:
        model(images())
    message = str(caught.value)
    assert message.count("in layer") == 1
    assert "(in layer '2.0.conv': Conv2d(4, 4, kernel_size=(3, 3)" in message


def test_an_error_below_a_module_list_has_the_lists_name_in_its_path():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.branches = nn.ModuleList([nn.Linear(2, 2), nn.Linear(3, 2)])

        def forward(self, x):
            return [branch(x) for branch in self.branches]

    with pytest.raises(ValueError, match=r"in layer 'branches\.1': Linear\(3, 2\)"):
        Branches()(Tensor(np.ones((1, 2), np.float32)))


def test_an_error_in_a_lone_layer_shows_the_layer():
    with pytest.raises(ValueError, match=r"\(in Linear\(3, 2\)\)"):
        nn.Linear(3, 2)(Tensor(np.ones((1, 4), np.float32)))


def test_a_model_works_after_an_error_and_names_paths_afresh():
    model = nn.Sequential(nn.Linear(3, 2))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"in layer '0'"):
            model(Tensor(np.ones((1, 4), np.float32)))
    assert model(Tensor(np.ones((1, 3), np.float32))).shape == (1, 2)


def test_anomaly_detection_names_the_module_path_forward_and_backward():
    model = network()
    model[1][0].scale.data[...] = np.inf
    with minicnn.detect_anomaly(), pytest.raises(FloatingPointError, match=r"mul in module '1\.0'"):
        model(images())

    class Root(nn.Module):
        def forward(self, x):
            return x.sqrt()

    model = nn.Sequential(nn.Identity(), nn.Sequential(Root()))
    with minicnn.detect_anomaly(), pytest.raises(FloatingPointError, match=r"backward of sqrt in module '1\.0'"):
        model(Tensor(np.zeros(2), requires_grad=True)).sum().backward()


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="ModuleList does not define forward"):
        nn.ModuleList([])(1)


# Reading


def test_the_repr_nests_and_counts():
    text = repr(network())
    assert text.startswith("Sequential(  # 343 parameters\n")  # 3*4*9+4, 4*4*9+4, 4+4, 1, 36*2+2
    assert "  (1): Sequential(  # 157 parameters" in text
    assert "      (conv): Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))  # 148" in text
    assert "    (1): ReLU()\n" in text


# Containers


def test_sequential_indexes_slices_and_appends():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(model) == 3
    assert model[-1] is model[2]
    assert list(model[1:].state_dict()) == ["2.weight", "2.bias"]  # a slice keeps its names
    model.append(nn.Tanh())
    assert type(model[3]) is nn.Tanh
    model[1] = nn.Sigmoid()
    assert [type(module).__name__ for module in model] == ["Linear", "Sigmoid", "Linear", "Tanh"]
    with pytest.raises(IndexError, match="index 4 is out of range for Sequential of 4"):
        model[4]


def test_sequential_takes_names():
    model = nn.Sequential(OrderedDict([("first", nn.Linear(2, 2)), ("act", nn.ReLU())]))
    assert list(model.state_dict()) == ["first.weight", "first.bias"]
    assert model.act is model[1]


def test_lists_and_dicts_of_modules_own_their_parameters():
    modules = nn.ModuleList([nn.Linear(2, 2)]).append(nn.Linear(2, 3)).extend([nn.ReLU()])
    assert [name for name, _ in modules.named_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert isinstance(modules[:2], nn.ModuleList)
    assert len(modules[:2]) == 2
    named = nn.ModuleDict({"a": nn.Linear(1, 1)})
    named["b"] = nn.ReLU()
    assert list(named) == ["a", "b"]
    assert "b" in named
    del named["b"]
    with pytest.raises(KeyError, match="no module 'b'; there are"):
        named["b"]


def test_a_container_can_be_cut_and_inserted_into_and_is_numbered_anew():
    model = nn.Sequential(OrderedDict(first=nn.ReLU(), second=nn.Tanh(), third=nn.Sigmoid()))
    del model[1]
    assert model.insert(-1, nn.Flatten()) is model
    assert [(name, type(child).__name__) for name, child in model.named_children()] == [
        ("0", "ReLU"),
        ("1", "Flatten"),
        ("2", "Sigmoid"),
    ]
    layers = nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 4), nn.Linear(4, 5)])
    del layers[:2]
    assert [tuple(parameter.shape) for parameter in layers.parameters()] == [(5, 4), (5,)]
    assert list(layers.state_dict()) == ["0.weight", "0.bias"]


def test_append_replaces_no_module_of_a_slice():
    tail = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.Flatten())[2:]
    with pytest.raises(ValueError, match=r"append would name the module 2, but .*\['2', '3'\]"):
        tail.append(nn.ReLU())
    assert [type(child).__name__ for child in tail] == ["Sigmoid", "Flatten"]
