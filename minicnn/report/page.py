"""A self-contained HTML page: headings, paragraphs, tables and figures in one file that needs nothing else.

Figures are embedded as PNG in base64. Every text is escaped, so that a file name or a class name can't break the page.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minicnn.files.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 Georgia, 'Times New Roman', serif; color: #1c1c1c; background: #fcfcfa; margin: 0; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; } h2 { font-size: 1.3rem; margin: 2.6rem 0 .4rem; border-top: 1px solid #ddd;
padding-top: 1.4rem; }
p { max-width: 44rem; margin: .5rem 0 1rem; } .lead { color: #555; }
figure { margin: 1rem 0; overflow-x: auto; } figure img { max-width: 100%; height: auto; display: block; }
figcaption { font: 13px/1.45 system-ui, sans-serif; color: #555; max-width: 46rem; margin-top: .3rem; }
table { border-collapse: collapse; font: 14px/1.4 system-ui, sans-serif; margin: 1rem 0; display: block;
overflow-x: auto; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #e3e3e3;
font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #999; font-weight: 600; }
code { font-size: .9em; background: #f0efe9; padding: .05em .3em; border-radius: 3px; }
"""


class Page:
    """A page that is built from top to bottom and then written, whole or not at all."""

    def __init__(self, title: str, lead: str):
        self.title = title
        self._parts = [f"<h1>{html.escape(title)}</h1>", f'<p class="lead">{html.escape(lead)}</p>']

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Add one paragraph of plain text."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def figure(self, figure: Figure, caption: str) -> None:
        """Add a matplotlib Figure with its caption, which also serves those who can't see it."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
        text = html.escape(caption)
        self._parts.append(
            f'<figure><img alt="{text}" src="data:image/png;base64,{encoded}"><figcaption>{text}</figcaption></figure>'
        )

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table; the first column holds names, the others figures."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        self._parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")

    def render(self) -> str:
        """The whole page as HTML."""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(self.title)}</title><style>{_STYLE}</style></head>\n"
            "<body><main>\n" + "\n".join(self._parts) + "\n</main></body></html>\n"
        )

    def write(self, path: str | Path) -> None:
        """Write the page to `path`, atomically. Raises OSError, naming the path, if the folder can't be written."""
        write_atomically(path, self.render().encode("utf-8"))
