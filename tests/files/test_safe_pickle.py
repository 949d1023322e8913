"""The machine that reads pickles gives plain data as it was, and gives in to nothing else."""

import io
import os
import pickle
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.files import safe_pickle
from minicnn.files.plain_text import plain

keys = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5)
)
plain_data = st.recursive(
    keys,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5) | st.lists(inner, max_size=5).map(tuple)
    ),
    max_leaves=20,
)


def load(content, allowed=None, **options):
    return safe_pickle.load(io.BytesIO(content), allowed or {}, **options)


@given(plain_data, st.integers(3, pickle.HIGHEST_PROTOCOL))
def test_plain_data_comes_back_as_it_was(data, protocol):
    content = pickle.dumps(data, protocol=protocol)
    assert pickle.dumps(load(content), protocol=protocol) == pickle.dumps(pickle.loads(content), protocol=protocol)


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_the_older_protocols_are_read_too(protocol):
    data = {"a": [1, -70_000, 2**70, 1.5, None, True], "b": (), "c": (1,), "d": (1, 2), "e": (1, 2, 3, 4), "f": {}}
    assert load(pickle.dumps(data, protocol=protocol)) == data


def test_one_object_in_two_places_stays_one():
    inner = [1]
    outer = load(pickle.dumps([inner, inner]))
    assert outer[0] is outer[1]


def test_text_of_python_2_is_decoded_or_left_as_bytes():
    content = b"\x80\x02U\x02\xc3\xa9."
    assert load(content) == "é"
    assert load(content, strings="bytes") == b"\xc3\xa9"


def test_the_place_in_the_file_is_behind_the_pickle():
    file = io.BytesIO(pickle.dumps(1) + pickle.dumps([2]) + b"rest")
    assert safe_pickle.load(file, {}) == 1
    assert safe_pickle.load(file, {}) == [2]
    assert file.read() == b"rest"


def test_an_allowed_name_means_what_the_caller_says():
    for content in (b"\x80\x02cos\nsystem\n.", b"\x80\x04\x8c\x02os\x8c\x06system\x93."):
        assert load(content, {("os", "system"): "a word"}) == "a word"
    assert load(b"\x80\x02cos\nsystem\nK\x03\x85R.", {("os", "system"): lambda number: number + 1}) == 4


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_any_other_name_is_refused_and_nothing_is_run(protocol, tmp_path):
    content = pickle.dumps([Call(os.mkdir, str(tmp_path / "ran"))], protocol=protocol)
    with pytest.raises(safe_pickle.RefusedError, match=r"it asks for (posix|nt)\.mkdir"):
        load(content)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\x80\x02cm\nword\n)R.", "calls a str, which is not a function"),
        (b"\x80\x02]q\x00)R.", "calls a list, which is not a function"),
        (b"\x80\x02K\x01}b.", "gives attributes to a int"),
        (b"\x80\x02cm\nlist\n)\x81.", "uses the instruction NEWOBJ"),
        (b"(icopy\ncopy\n.", "uses the instruction INST"),
        (b"\x80\x02\x82\x01.", "uses the instruction EXT1"),
        (b"\x80\x02K\x01Q.", "refers to objects outside"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", r"asks for os\.system"),
        (b"\x80\x04\x8c\x01m\x8c\x0eword.__class__\x93.", r"asks for m\.word\.__class__"),
        (b"cm\x1b[31m\nx\n.", r"asks for m\\x1b\[31m\.x"),
    ],
)
def test_what_plain_data_does_not_need_is_refused(content, complaint):
    with pytest.raises(safe_pickle.RefusedError, match=complaint):
        load(content, {("m", "word"): "a word", ("m", "list"): list})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02].extra"[:3],
        b"\x80\x02K",
        b".",
        b"(.",
        b"\x80\x02K\x01K\x02s.",
        b"t.",
        b"h\x07.",
        b"u.",
    ]
    + [b"\x80\x02}(K\x01u.", b"\x80\x02K\x01K\x02a.", b"\x80\x02cm\nf\nK\x01R.", b"\xff", b"\x80\x04K\x01K\x02\x93."],
)
def test_a_damaged_pickle_raises(content):
    with pytest.raises((ValueError, IndexError, KeyError, EOFError)):
        load(content, {("m", "f"): len})


def measured(content):
    """What loading raises (or None), with the seconds and the bytes that it took."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        load(content)
        error = None
    except (ValueError, safe_pickle.RefusedError) as caught:
        error = caught
    seconds, peak = time.monotonic() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return error, seconds, peak


def test_a_memo_index_of_four_billion_takes_no_memory():
    error, seconds, peak = measured(b"\x80\x02]r\xff\xff\xff\xff.")
    assert error is None
    assert seconds < 1
    assert peak < 1e6


@pytest.mark.parametrize("opcode", [b"\x8e", b"\x8d", b"B", b"X", b"T"])
def test_a_length_beyond_the_end_takes_no_memory(opcode):
    size = b"\xff\xff\xff\xff\xff\xff\xff\x0f" if opcode in b"\x8e\x8d" else b"\xff\xff\xff\x7f"
    error, _, peak = measured(b"\x80\x04" + opcode + size + b"few.")
    assert isinstance(error, ValueError)
    assert peak < 1e6


def test_a_deeply_nested_key_is_refused_before_it_is_hashed():
    nested = b")" + b"\x85" * 200_000  # a tuple in a tuple in a tuple ...; its hash would overrun the C stack
    error, seconds, _ = measured(b"\x80\x02}" + nested + b"K\x01s.")
    assert "key of a dictionary is a tuple" in str(error)
    assert seconds < 10


def test_a_key_that_is_exponentially_large_is_refused():
    doubled = b")" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(100))
    error, seconds, peak = measured(b"\x80\x02}" + doubled + b"K\x01s.")
    assert "key of a dictionary is a tuple" in str(error)
    assert seconds < 1
    assert peak < 1e6


def test_a_program_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(safe_pickle, "MOST_INSTRUCTIONS", 1000)
    assert load(b"\x80\x02" + b"N0" * 400 + b"N.") is None
    with pytest.raises(safe_pickle.RefusedError, match="more than 1,000 instructions"):
        load(b"\x80\x02" + b"N0" * 600 + b"N.")


@pytest.mark.parametrize("values", [b"(" + b"N" * 900 + b"l", b"(" + b"N" * 900 + b"t", b"}" + b"(" + b"".join(
    b"J" + n.to_bytes(4, "little") + b"N" for n in range(900)) + b"u"])  # fmt: skip
def test_a_call_counts_as_many_instructions_as_it_is_given_items(values, monkeypatch):
    monkeypatch.setattr(safe_pickle, "MOST_INSTRUCTIONS", 5000)
    calls = []
    once = values + b"q\x00cm\nf\nq\x01" + b"h\x01h\x00\x85R"
    assert load(b"\x80\x02" + once + b".", {("m", "f"): calls.append}) is None
    with pytest.raises(safe_pickle.RefusedError, match="makes copies without end"):
        load(b"\x80\x02" + once + b"h\x01h\x00\x85R" * 50 + b".", {("m", "f"): calls.append})
    assert len(calls) < 10


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_all_names_that_a_pickle_asks_for_are_told_without_running_it(protocol, tmp_path):
    content = pickle.dumps({"a": Call(os.mkdir, str(tmp_path / "ran")), "b": Call(os.rmdir, "x")}, protocol=protocol)
    told = list(safe_pickle.names(io.BytesIO(content)))
    assert [name.partition(".")[2] for name in told if name.endswith("dir")] == ["mkdir", "rmdir"]
    assert not (tmp_path / "ran").exists()
    assert next(safe_pickle.names(io.BytesIO(content[:-20]))) == told[0]


def test_plain_text_is_short_and_does_nothing_to_a_terminal():
    assert plain("épais, 3 px") == "épais, 3 px"
    assert plain("\x1b[2J\r\n\u202e") == r"\x1b[2J\r\n\u202e"
    assert plain("x" * 300) == "x" * 200 + "..."
    assert plain(("a", 1)) == "('a', 1)"
