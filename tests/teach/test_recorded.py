"""Numbers of a recorded run, written into text."""

import pytest

from minicnn.teach.recorded import read_record, render

RECORD = {
    "seconds": 3.21,
    "numbers": {"accuracy": {"value": 0.98765}, "count": {"value": 1234.0}, "low": {"value": -2}},
}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("about ?<!-- accuracy:.3f -->.", "about 0.988<!-- accuracy:.3f -->."),
        ("about (0.1<!-- accuracy:.0% -->).", "about (99%<!-- accuracy:.0% -->)."),
        ("99%<!-- accuracy:.1% --> of", "98.8%<!-- accuracy:.1% --> of"),
        ("1,000<!-- count:,d --> pictures", "1,234<!-- count:,d --> pictures"),
        ("-1.5<!-- low:.1f -->", "-2.0<!-- low:.1f -->"),
        ("1e-05<!-- accuracy:.0e -->", "1e+00<!-- accuracy:.0e -->"),
        ("?<!-- seconds:.0f --> s", "3<!-- seconds:.0f --> s"),
        ("1<!-- low:d --> and 2<!-- count:d -->", "-2<!-- low:d --> and 1234<!-- count:d -->"),
        ("no number at all: 0.5", "no number at all: 0.5"),
    ],
)
def test_a_number_is_written_as_its_comment_says(text, rendered):
    assert render(text, RECORD) == rendered
    assert render(rendered, RECORD) == rendered


def test_a_number_that_was_not_recorded_is_named():
    with pytest.raises(
        ValueError, match="the text quotes 'acuracy', but recorded are only accuracy, count, low, seconds"
    ):
        render("?<!-- acuracy:.3f -->", RECORD)


@pytest.mark.parametrize("text", ["about <!-- accuracy:.3f -->", "x<!-- accuracy -->", "0.98 <!-- accuracy:.3f -->"])
def test_a_comment_that_would_never_be_rendered_is_refused(text):
    with pytest.raises(ValueError, match="does not follow a number"):
        render(text, RECORD)


def test_a_missing_record_says_how_it_is_made(tmp_path):
    with pytest.raises(FileNotFoundError, match="`minicnn lesson record 01_try` makes one"):
        read_record(tmp_path / "01_try.json")
