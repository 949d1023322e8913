"""A nested state survives the way through arrays and JSON."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn import Tensor
from minicnn.weights import flatten, unflatten

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.builds(lambda n: np.arange(n), st.integers(0, 3))
)
keys = st.text(max_size=3) | st.integers(-3, 3) | st.sampled_from(["$array", "$float", "a.b", "a"])
states = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=10,
)


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    return type(a) is type(b) and a == b


@settings(deadline=None, max_examples=300)
@given(states)
def test_any_state_comes_back(state):
    arrays, skeleton = flatten(state, "optimizer")
    text = json.dumps(skeleton, allow_nan=False)
    assert same(state, unflatten(arrays, json.loads(text)))


def test_arrays_are_named_after_their_place():
    state = {
        "state": {0: {"momentum_buffer": Tensor([1.0])}},
        "groups": [{"lr": np.float64(0.5), "betas": (0.9, 0.99)}],
    }
    arrays, skeleton = flatten(state, "optimizer")
    assert list(arrays) == ["optimizer.state.0.momentum_buffer"]
    back = unflatten(arrays, skeleton)
    assert back["groups"] == [{"lr": 0.5, "betas": (0.9, 0.99)}]
    assert back["state"][0]["momentum_buffer"].tolist() == [1.0]


def test_what_cannot_be_saved_is_named_with_its_place():
    with pytest.raises(TypeError, match=r"schedule\.function is of type function"):
        flatten({"function": lambda: 1}, "schedule")


def test_a_missing_array_is_named():
    arrays, skeleton = flatten({"a": np.zeros(2)})
    with pytest.raises(ValueError, match="lacks the array 'a'"):
        unflatten({}, skeleton)
    assert list(arrays) == ["a"]
