"""History files: whole lines, no line twice, a torn line forgiven."""

import json

import numpy as np
import pytest

from minicnn.training import append_record, read_history, start_history


def test_lines_are_added_and_read_back(tmp_path):
    path = tmp_path / "history.jsonl"
    records = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-30}]
    for record in records:
        append_record(path, record)
    assert read_history(path) == records
    assert path.read_text().count("\n") == 2


def test_starting_anew_takes_the_file_back(tmp_path):
    path = tmp_path / "history.jsonl"
    for epoch in (1, 2, 3):
        append_record(path, {"epoch": epoch})
    start_history(path, [{"epoch": 1}])
    append_record(path, {"epoch": 2})
    assert read_history(path) == [{"epoch": 1}, {"epoch": 2}]


def test_a_torn_last_line_is_left_out(tmp_path):
    path = tmp_path / "history.jsonl"
    append_record(path, {"epoch": 1})
    for torn in ('{"epo', '{"epoch": 2}'):
        path.write_text('{"epoch": 1}\n' + torn)
        assert read_history(path) == [{"epoch": 1}]


def test_another_line_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"epoch": 1}\nhello\n{"epoch": 3}\n')
    with pytest.raises(ValueError, match=r"line 2 of .*history\.jsonl"):
        read_history(path)
    with pytest.raises(FileNotFoundError):
        read_history(tmp_path / "absent.jsonl")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("[1, 2]", "not an epoch's record"),
        ("7", "is 7, not"),
    ],
)
def test_a_line_that_is_not_a_record_is_named(tmp_path, line, reason):
    path = tmp_path / "history.jsonl"
    path.write_text('{"epoch": 1}\n' + line + "\n")
    with pytest.raises(ValueError, match=rf"line 2 of .*history\.jsonl.*{reason}.*remove this line"):
        read_history(path)


def test_a_line_is_json_whatever_the_numbers_are(tmp_path):
    path = tmp_path / "history.jsonl"
    append_record(
        path, {"epoch": 1, "a": float("nan"), "b": [1.5, float("inf")], "c": np.float32(-np.inf), "d": {"e": 2}}
    )

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    json.loads(path.read_text(), parse_constant=refuse)
    assert read_history(path) == [{"epoch": 1, "a": None, "b": [1.5, None], "c": None, "d": {"e": 2}}]
