"""The whole run: section after section, printed and saved one by one, so that Ctrl-C costs only the present section."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minicnn.bench import tables
from minicnn.bench.sections import SECTIONS
from minicnn.bench.session import Session
from minicnn.bench.summary import summarise
from minicnn.figures.bench import speed_ladder
from minicnn.files.atomic import make_folder, write_atomically


def run(
    session: Session, sections: Sequence[str], out: Path, about: dict[str, Any], say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Measure the sections, write results.json and the picture into the folder `out`, and return the results.

    `about` goes into the record unchanged: command, versions, machine. Raises OSError if the folder can't be written,
    LibraryError if minicnn itself fails.
    """
    make_folder(out)
    begin = time.perf_counter()
    results: dict[str, Any] = {"format": 1, **about, "threads": session.threads, "plan": asdict(session.plan)}
    results["sections"], results["section seconds"] = {}, {}
    try:
        for section in sections:
            start, rows = time.perf_counter(), results["sections"].setdefault(section, [])
            for line in tables.lines(section, SECTIONS[section](session), rows.append):
                say(line)
            results["section seconds"][section] = round(time.perf_counter() - start, 1)
            save(results, session, begin, out)
        for line in tables.summary_lines(results["summary"], session.left_out):
            say(line)
    finally:
        save(results, session, begin, out)
        if results["sections"].get("conv"):
            speed_ladder(results).savefig(out / "convolutions.png", dpi=200)
    return results


def save(results: dict[str, Any], session: Session, begin: float, out: Path) -> None:
    """Write the present results.json."""
    results["seconds"] = round(time.perf_counter() - begin, 1)
    for row in (row for rows in results["sections"].values() for row in rows):
        session.left_out.update({f"{library}, {row['case']}": why for library, why in row.get("failed", {}).items()})
    results["left out"] = dict(session.left_out)
    results["summary"] = summarise(results["sections"])
    write_atomically(out / "results.json", (json.dumps(results, indent=1) + "\n").encode())
