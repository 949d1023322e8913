"""Random streams: the same name gives the same bits, and no stream feels another."""

import numpy as np
import pytest

import minicnn
from minicnn import random


@pytest.fixture(autouse=True)
def _seed():
    minicnn.manual_seed(0)


def draw(generator):
    return generator.integers(0, 2**63, 4).tolist()


def test_the_same_key_gives_the_same_bits_whatever_was_drawn_between():
    first = draw(random.stream("shuffle", 3))
    draw(random.next_stream("dropout"))
    random.set_position(5, 6)
    np.random.default_rng().random()
    assert draw(random.stream("shuffle", 3)) == first


def test_seed_purpose_and_every_counter_make_another_stream():
    keys = [
        ("shuffle",),
        ("shuffle", 0),
        ("shuffle", 1),
        ("shuffle", 0, 1),
        ("shuffle", 1, 0),
        ("augment", 0),
        ("", 0, 0),
    ]
    drawn = {tuple(draw(random.stream(*key))) for key in keys}
    minicnn.manual_seed(1)
    drawn |= {tuple(draw(random.stream(*key))) for key in keys}
    assert len(drawn) == 2 * len(keys)


def test_a_key_can_not_be_confused_with_another_by_how_it_is_written():
    assert draw(random.stream("a", 1, 23)) != draw(random.stream("a", 12, 3))
    assert draw(random.stream("a1", 2)) != draw(random.stream("a", 12))


def test_a_stream_may_have_a_seed_of_its_own():
    own = draw(random.stream("weights", seed=7))
    assert own != draw(random.stream("weights"))
    minicnn.manual_seed(7)
    assert own == draw(random.stream("weights"))


def test_streams_of_neighbouring_seeds_are_not_correlated():
    a, b = (random.stream("noise", i).standard_normal(20_000) for i in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(20_000)


def test_next_stream_gives_a_fresh_one_at_each_call_and_again_after_the_position_was_set():
    def step(epoch, batch):
        random.set_position(epoch, batch)
        return [draw(random.next_stream("dropout")) for _ in range(3)]

    one = step(1, 2)
    assert len({tuple(bits) for bits in one}) == 3
    assert step(1, 2) == one
    assert all(bits not in one for bits in step(1, 3) + step(2, 2) + step(2, 1))


def test_purposes_count_apart():
    random.set_position(0, 0)
    first = draw(random.next_stream("dropout"))
    random.set_position(0, 0)
    for _ in range(5):
        random.next_stream("augment")
    assert draw(random.next_stream("dropout")) == first


def test_a_generator_that_is_given_is_used_and_counts_nothing():
    own = np.random.default_rng(1)
    before = random.get_state()
    assert random.next_stream("dropout", own) is own
    assert random.get_state() == before


def test_the_state_brings_back_the_very_next_numbers_in_another_process_too():
    import json

    minicnn.manual_seed(11)
    random.set_position(2, 5)
    random.next_stream("dropout")
    state = json.loads(json.dumps(random.get_state()))
    expected = [draw(random.next_stream(purpose)) for purpose in ("dropout", "dropout", "augment")]
    minicnn.manual_seed(99)
    random.next_stream("dropout")
    random.set_state(state)
    assert [draw(random.next_stream(purpose)) for purpose in ("dropout", "dropout", "augment")] == expected


def test_a_state_read_is_a_copy():
    state = random.get_state()
    random.next_stream("dropout")
    assert state["counts"] == {}


def test_known_bits():
    """The bits of a key are a promise: a recorded run must be repeatable by a later version, on any machine."""
    from hashlib import blake2b

    key = int.from_bytes(blake2b(b"(3, 'shuffle', (1, 2))", digest_size=16).digest(), "little")
    expected = np.random.Philox(key=key).random_raw(4)
    minicnn.manual_seed(3)
    np.testing.assert_array_equal(random.stream("shuffle", 1, 2).bit_generator.random_raw(4), expected)


@pytest.mark.parametrize("seed", [1.5, "1", None, True])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(TypeError, match="seed must be an integer, but is"):
        minicnn.manual_seed(seed)
    if seed is not None:  # for a stream None is the seed that manual_seed set
        with pytest.raises(TypeError, match="seed must be an integer, but is"):
            random.stream("init", seed=seed)


def test_a_seed_is_not_negative():
    with pytest.raises(ValueError, match="seed must be 0 or more, but is -1"):
        minicnn.manual_seed(-1)
    with pytest.raises(ValueError, match="seed must be 0 or more, but is -1"):
        random.stream("init", seed=-1)


def test_a_state_that_lacks_something_is_refused():
    with pytest.raises(ValueError, match=r"lacks \['counts', 'position'\]"):
        random.set_state({"seed": 1})
