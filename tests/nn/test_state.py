"""state_dict and load_state_dict: copies, reports, and nothing partly loaded."""

import numpy as np
import pytest

from minicnn import nn
from minicnn.tensor import Tensor


def network():
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 4))


def filled(value):
    return {name: np.full(array.shape, value, array.dtype) for name, array in network().state_dict().items()}


def test_the_state_is_a_copy_in_c_order():
    model = network()
    model[0].weight.data = np.asfortranarray(model[0].weight.data)
    state = model.state_dict()
    assert all(array.flags.c_contiguous for array in state.values())
    state["0.weight"][...] = 7
    assert not (model[0].weight.data == 7).any()


def test_loading_copies_in_place_and_keeps_dtype_and_memory_order():
    model = network()
    model[0].weight.data = np.asfortranarray(model[0].weight.data)
    arrays = {name: tensor.data for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    state = {name: np.random.default_rng(0).standard_normal(array.shape) for name, array in arrays.items()}
    state["1.num_batches_tracked"] = np.array(12)
    report = model.load_state_dict(state)
    assert report
    assert sorted(report.loaded) == sorted(state)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        assert tensor.data is arrays[name]
        assert tensor.dtype == (np.int64 if "tracked" in name else np.float32)
        np.testing.assert_array_equal(tensor.data, state[name].astype(tensor.dtype))
    assert model[0].weight.data.flags.f_contiguous


def test_tensors_load_as_arrays_do():
    model = network()
    model.load_state_dict({name: Tensor(array) for name, array in filled(2).items()})
    assert (model[3].bias.data == 2).all()


def test_a_strict_load_lists_all_that_is_wrong_and_loads_nothing():
    model = network()
    before = model.state_dict()
    state = filled(5)
    del state["1.running_mean"]
    state["extra.weight"] = np.zeros(2)
    state["3.weight"] = np.zeros((10, 3))
    with pytest.raises(ValueError, match="does not fit Sequential; nothing was loaded") as caught:
        model.load_state_dict(state)
    message = str(caught.value)
    assert "1 missing (in the model, not in the state):\n  1.running_mean" in message
    assert "1 unexpected (in the state, not in the model):\n  extra.weight" in message
    assert "3.weight: (10, 3) in the state, (4, 3) in the model" in message
    np.testing.assert_equal(model.state_dict(), before)


@pytest.mark.parametrize("change", ["missing", "unexpected", "of another shape"])
def test_each_kind_of_misfit_alone_makes_a_strict_load_raise(change):
    model, state = network(), filled(5)
    before = model.state_dict()
    if change == "missing":
        del state["0.bias"]
    else:
        state["extra" if change == "unexpected" else "3.bias"] = np.zeros(9)
    with pytest.raises(ValueError, match=f"1 {change}"):
        model.load_state_dict(state)
    np.testing.assert_equal(model.state_dict(), before)


def test_a_loose_load_takes_what_fits_and_reports_the_rest():
    model = network()
    state = filled(5)
    del state["1.running_mean"]
    state["extra.weight"] = np.zeros(2)
    state["3.weight"] = np.zeros((10, 3))
    report = model.load_state_dict(state, strict=False)
    assert not report
    assert report.missing == ["1.running_mean"]
    assert report.unexpected == ["extra.weight"]
    assert report.mismatched == {"3.weight": ((10, 3), (4, 3))}
    assert "3.weight" not in report.loaded
    assert repr(report).startswith("7 loaded\n1 missing")
    assert (model[0].weight.data == 5).all()
    assert not (model[3].weight.data == 0).any()


def test_a_loose_load_of_which_nothing_fits_raises():
    with pytest.raises(ValueError, match="nothing that fits"):
        network().load_state_dict({"module.0.weight": np.zeros((3, 2, 3, 3))}, strict=False)


def test_the_batch_counter_may_be_missing():
    state = filled(3)
    del state["1.num_batches_tracked"]
    assert network().load_state_dict(state)


def test_an_entry_that_is_no_array_is_named_and_nothing_loaded():
    model = network()
    before = model.state_dict()
    with pytest.raises(TypeError, match=r"entry '0\.bias' of the state is not an array of numbers, but str"):
        model.load_state_dict({**filled(1), "0.bias": "abc"})
    np.testing.assert_equal(model.state_dict(), before)


def test_a_path_is_no_state():
    with pytest.raises(TypeError, match=r"must be a mapping of names to arrays.*but is str; read a file with"):
        network().load_state_dict("weights.safetensors")


def test_long_lists_are_cut_in_the_report_but_not_in_its_attributes():
    model = nn.ModuleList([nn.Linear(1, 1) for _ in range(20)])
    report = model.load_state_dict({"0.weight": np.ones((1, 1))}, strict=False)
    assert len(report.missing) == 39
    assert "... and 29 more" in repr(report)


def test_torchs_state_loads_and_ours_loads_in_torch():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Linear(3, 4)
    )
    model = network()
    assert model.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    assert list(model.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in network().state_dict().items()})


def test_named_entries_may_be_missing():
    model, state = network(), filled(3)
    kept = model[3].weight.data.copy()
    del state["3.weight"], state["3.bias"]
    with pytest.raises(ValueError, match="2 missing"):
        model.load_state_dict(state)
    with pytest.raises(ValueError, match=r"1 missing.*\n  3\.bias"):
        model.load_state_dict(state, may_be_missing=["3.weight"])
    assert model.load_state_dict(state, may_be_missing=["3.weight", "3.bias"])
    np.testing.assert_array_equal(model[3].weight.data, kept)
    assert (model[0].weight.data == 3).all()


class Stored:
    """A state in a file that turns out to be damaged after `good` arrays were read."""

    def __init__(self, arrays, good=100):
        self.arrays, self.good = arrays, good

    @property
    def shapes(self):
        return {name: array.shape for name, array in self.arrays.items()}

    def read_into(self, targets):
        for count, (name, target) in enumerate(targets.items()):
            if count == self.good:
                raise ValueError("damaged")
            target[...] = self.arrays[name]


def test_a_state_in_a_file_is_read_into_place():
    model = network()
    places = {name: tensor.data for name, tensor in model.state_tensors().items()}
    assert model.load_state_dict(Stored(filled(4)))
    assert all(tensor.data is places[name] for name, tensor in model.state_tensors().items())
    assert all((array == 4).all() for array in model.state_dict().values())


def test_a_file_damaged_in_its_middle_changes_nothing():
    model = network()
    before = model.state_dict()
    with pytest.raises(ValueError, match="damaged"):
        model.load_state_dict(Stored(filled(4), good=3))
    np.testing.assert_equal(model.state_dict(), before)
    with nn.init.deferred():
        waiting = network()
        with pytest.raises(ValueError, match="damaged"):
            waiting.load_state_dict(Stored(filled(4), good=3))
    assert not any((array == 4).any() for array in waiting.state_dict().values())


def test_what_waits_takes_the_array_that_was_read():
    with nn.init.deferred():
        waiting = network()
        assert waiting.load_state_dict(Stored(filled(4)))
    assert all((array == 4).all() for array in waiting.state_dict().values())
    assert all(tensor.data.flags.writeable for tensor in waiting.state_tensors().values())


def test_names_in_a_report_do_nothing_to_a_terminal():
    report = network().load_state_dict({**filled(1), "\x1b[2J": np.zeros(1)}, strict=False)
    assert report.unexpected == ["\x1b[2J"]
    assert "\x1b" not in repr(report)
