"""Numbers of a recorded run, written into text."""

import pytest

from minicnn.teach.recorded import quoted, read_record, render, without_names

RECORD = {
    "seconds": 3.21,
    "numbers": {"accuracy": {"value": 0.98765}, "count": {"value": 1234.0}, "low": {"value": -2}},
}


def cell(text, names):
    return f"# %% [markdown]\n# {text}\n#\n# [//]: # ({names})\n\n"


@pytest.mark.parametrize(
    ("text", "names", "rendered"),
    [
        ("about `?`.", "accuracy:.3f", "about `0.988`."),
        ("about (`0.1`).", "accuracy:.0%", "about (`99%`)."),
        ("`99%` of", "accuracy:.1%", "`98.8%` of"),
        ("`1,000` pictures", "count:,d", "`1,234` pictures"),
        ("`-1.5`", "low:.1f", "`-2.0`"),
        ("`1e-05`", "accuracy:.0e", "`1e+00`"),
        ("`?` s", "seconds:.0f", "`3` s"),
        ("`1` and `2`", "low:d count:d", "`-2` and `1234`"),
        ("`1` and `2` of `x`, 7", "low:d)\n# [//]: # (count:d", "`-2` and `1234` of `x`, 7"),
    ],
)
def test_a_number_is_written_as_its_name_says(text, names, rendered):
    assert render(cell(text, names), RECORD) == cell(rendered, names)
    assert render(cell(rendered, names), RECORD) == cell(rendered, names)


def test_text_without_recorded_numbers_stays_as_it_is():
    text = "# %% [markdown]\n# no number at all: 0.5, `x`\n\n# %%\nx = 3  # `3` in code\n"
    assert render(text, RECORD) == text


def test_each_cell_has_its_own_numbers():
    text = cell("`1` and", "low:d") + "# %%\nx = 1\n" + cell("`5`", "count:d")
    assert render(text, RECORD) == cell("`-2` and", "low:d") + "# %%\nx = 1\n" + cell("`1234`", "count:d")


def test_a_number_that_was_not_recorded_is_named():
    with pytest.raises(
        ValueError, match="the text quotes 'acuracy', but recorded are only accuracy, count, low, seconds"
    ):
        render(cell("`?`", "acuracy:.3f"), RECORD)


@pytest.mark.parametrize(
    ("text", "names"), [("about 0.98", "accuracy:.3f"), ("`1` and `2`", "low:d"), ("`1`", "low:d count:d")]
)
def test_a_cell_names_as_many_numbers_as_it_has(text, names):
    with pytest.raises(ValueError, match="numbers between backticks"):
        render(cell(text, names), RECORD)
    with pytest.raises(ValueError, match="has 1 numbers between backticks"):
        render("# %% [markdown]\n# about `0.98`\n", RECORD)


def test_a_readers_text_has_no_names():
    text = "about `0.98` and `3`\n\n[//]: # (accuracy:.2f seconds:.0f)"
    assert quoted(text) == [("accuracy", ".2f"), ("seconds", ".0f")]
    assert without_names(text) == "about `0.98` and `3`"


def test_a_missing_record_says_how_it_is_made(tmp_path):
    with pytest.raises(FileNotFoundError, match="`minicnn lesson record 01_try` makes it"):
        read_record(tmp_path / "01_try.json")
