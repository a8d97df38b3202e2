"""What a run's page takes from the executed notebooks: the plots, and the text that its
search looks through.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.notebook.cells import last_heading
from orchestrator.records.record import RunRecord

_LONGEST = 20_000  # characters of one cell that are searched
_MARKUP = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_OWN = {"run-banner", "failed-cell-mark"}  # the cells that a report adds to its notebook


@dataclass(frozen=True)
class Plot:
    """A picture that a notebook made: the heading that it stands under, its place, and
    the picture in base64.
    """

    title: str
    link: str
    kind: str
    data: str


@dataclass(frozen=True)
class Passage:
    """The text of one cell, with its outputs, and where it stands."""

    stage: str
    heading: str
    link: str
    text: str


def read_parts(folder: Path, record: RunRecord) -> tuple[list[Plot], list[Passage]]:
    """Read the reports of a run, those of reused stages too; one that is gone has no part."""
    plots, passages = list[Plot](), list[Passage]()
    for entry in record.stages:
        if not (entry.report and entry.report_html and (folder / entry.report).is_file()):
            continue
        try:
            cells = json.loads((folder / entry.report).read_bytes())["cells"]
        except (ValueError, KeyError, OSError):
            continue
        for cell, heading, link in _walk(cells, entry.report_html):
            plots += [Plot(heading, link, kind, data) for kind, data in _pictures(cell)]
            text = _SPACE.sub(" ", " ".join(_texts(cell)))[:_LONGEST].strip()
            if text:
                passages.append(Passage(entry.name, heading, link, text))
    return plots, passages


def _walk(cells: list[dict[str, Any]], page: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield each of the notebook's own cells, the heading above it, and the link to it
    in the stage's page.
    """
    heading, number = "", 0
    for cell in cells:
        if cell.get("id") in _OWN:
            continue
        source = _join(cell["source"])
        if cell["cell_type"] == "markdown":
            heading = last_heading(source) or heading
            yield cell, heading, f"{page}#text-{cell.get('id', '')}"
        elif cell["cell_type"] == "code" and source.strip():
            number += 1
            yield cell, heading, f"{page}#cell-{number}"


def _pictures(cell: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for output in cell.get("outputs", []):
        for kind in ("image/png", "image/jpeg"):
            if kind in output.get("data", {}):
                yield kind, _join(output["data"][kind]).replace("\n", "")
                break


def _texts(cell: dict[str, Any]) -> Iterator[str]:
    yield _join(cell["source"])
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if output["output_type"] == "stream":
            yield _join(output["text"])
        elif output["output_type"] == "error":
            yield f"{output.get('ename')}: {output.get('evalue')}"
        elif "text/html" in data:
            yield html.unescape(_MARKUP.sub(" ", _join(data["text/html"])))
        elif "text/plain" in data:
            yield _join(data["text/plain"])


def _join(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)
