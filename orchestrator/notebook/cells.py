"""A notebook as preflight sees it: valid, with its code cells, numbered as reports number them."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from orchestrator.errors import UsageError

_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.MULTILINE)
_TAG = "parameters"
_SHOWN = 200  # characters of a validator's message, which may quote a whole cell


@dataclass(frozen=True)
class Cell:
    """A code cell: its number among those with code, the heading that it stands under,
    its source.
    """

    number: int
    heading: str
    source: str

    def __str__(self) -> str:
        """Return what messages call it."""
        return f"cell {self.number} ({self.heading})" if self.heading else f"cell {self.number}"


@dataclass(frozen=True)
class Notebook:
    """A valid notebook: its cells with code, those tagged `parameters`, and the kernel
    that it was saved with; the kernel's language, empty where the notebook does not say.
    """

    path: Path
    cells: tuple[Cell, ...]
    parameters: tuple[Cell, ...]
    kernel: str | None
    language: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def parameters_source(self) -> str:
        """The source of the one cell that declares the parameters.

        Raises:
            UsageError: there is not exactly one.
        """
        if len(self.parameters) != 1:
            found = "".join(f"; {cell}" for cell in self.parameters)
            raise UsageError(
                f"{self.name} has {len(self.parameters)} code cells tagged `{_TAG}`, expected "
                f"one{found}. "
                "In JupyterLab the tags of a cell are in the property inspector, the gear on "
                "the right."
            )
        return self.parameters[0].source


def read_notebook(path: Path) -> Notebook:
    """Read and validate a notebook; once as long as the file stays as it is.

    Raises:
        UsageError: there is none, or it is not a valid notebook.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        state = path.stat()
        return _read(path, state.st_mtime_ns, state.st_size)
    except FileNotFoundError:
        raise UsageError(f"There is no notebook at {path.absolute()}.") from None
    except OSError as error:
        raise UsageError(
            f"{name} cannot be read: {error.strerror or error} ({path.absolute()})."
        ) from None


@functools.lru_cache(maxsize=64)
def _read(path: Path, modified: int, size: int) -> Notebook:
    node = _parse(path)
    code = [(index, cell) for index, cell in enumerate(node.cells) if cell.cell_type == "code"]
    numbered = {
        index: Cell(number, heading_above(node, index), cell.source)
        for number, (index, cell) in enumerate([pair for pair in code if is_code(pair[1])], start=1)
    }
    tagged = [
        numbered.get(index, Cell(0, heading_above(node, index), ""))
        for index, cell in code
        if _TAG in cell.metadata.get("tags", [])
    ]
    spec = node.metadata.get("kernelspec", {})
    return Notebook(
        path,
        tuple(numbered.values()),
        tuple(tagged),
        spec.get("name"),
        str(spec.get("language") or node.metadata.get("language_info", {}).get("name", "")).lower(),
    )


def _parse(path: Path) -> NotebookNode:
    name = f"{path.parent.name}/{path.name}"
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
        fields = json.loads(text)
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not a notebook: byte {error.start} is not UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is not a notebook: {_describe(text, error)}.") from None
    if not isinstance(fields, dict) or "nbformat" not in fields:
        raise UsageError(f"{name} is not a notebook: expected JSON with `nbformat` and `cells`.")
    try:
        node = nbformat.convert(nbformat.reader.reads(text), 4)
        nbformat.validate(node)
    except (
        Exception
    ) as error:  # the readers of damaged notebooks fail with whatever they stumble over
        message = str(getattr(error, "message", error))
        shown = message if len(message) <= _SHOWN else f"{message[:_SHOWN]}…"
        raise UsageError(f"{name} is not a valid notebook: {shown}") from None
    return node


def _describe(text: str, error: Exception) -> str:
    """Say where a text stops being JSON; the usual reason is a merge that was not finished."""
    lines = text.splitlines()
    marked = next(
        (
            number
            for number, line in enumerate(lines, 1)
            if line.startswith(("<<<<<<< ", ">>>>>>> "))
        ),
        None,
    )
    if marked:
        return f"line {marked} is a mark of a git merge; finish it with `nbdime mergetool`"
    return "it is empty" if not text.strip() else f"it is not JSON: {error}"


def heading_above(notebook: NotebookNode, index: int) -> str:
    """Return the text of the nearest heading above a cell, or an empty text."""
    for cell in reversed(notebook.cells[:index]):
        if cell.cell_type == "markdown" and (heading := last_heading(cell.source)):
            return heading
    return ""


def last_heading(markdown: str) -> str:
    """Return the text of the last heading in a markdown cell, or an empty text."""
    headings = _HEADING.findall(markdown)
    return str(headings[-1]) if headings else ""


def is_code(cell: NotebookNode) -> bool:
    """Whether a cell has code to execute."""
    return bool(cell.cell_type == "code" and cell.source.strip())
