from html.parser import HTMLParser

import pytest

from minicnn.figures.images import filter_grid
from minicnn.report.page import Page


class Outline(HTMLParser):
    """Collects tags, texts and picture sources, and insists that what opens also closes."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.sources = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_a_page_holds_what_was_put_on_it_and_refers_to_nothing_outside(tmp_path):
    import numpy as np

    page = Page("Title", "What it is about")
    page.heading("Section")
    page.paragraph("Some text")
    page.table(["name", "value"], [["a", "1"], ["b", "2"]])
    page.figure(filter_grid(np.eye(3)[None, None]), "One filter")
    page.write(tmp_path / "index.html")
    outline = Outline((tmp_path / "index.html").read_text(encoding="utf-8"))
    for text in ("Title", "What it is about", "Section", "Some text", "name", "1", "2", "One filter"):
        assert text in outline.texts
    assert outline.tags.count("tr") == 3
    assert len(outline.sources) == 1
    assert outline.sources[0].startswith("data:image/png;base64,iVBOR")


def test_text_is_escaped_everywhere():
    page = Page("<b>bold</b>", "a & b")
    page.heading("<script>alert(1)</script>")
    page.table(["<i>"], [["</table>"]])
    outline = Outline(page.render())
    assert "script" not in outline.tags
    assert "b" not in outline.tags
    assert "<script>alert(1)</script>" in outline.texts
    assert "</table>" in outline.texts


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        Page("t", "l").write(tmp_path / "missing" / "index.html")
    assert list(tmp_path.iterdir()) == []
