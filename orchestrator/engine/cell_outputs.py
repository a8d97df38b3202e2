"""What a cell puts out, as it comes: without secrets, capped, and line by line into the log."""

from __future__ import annotations

import base64
import binascii
import contextlib
import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from nbformat import NotebookNode
from nbformat.v4 import new_output

from orchestrator.redaction import Redactor

LINES_CAP = 500  # lines of a cell that are logged, each at the price of a call to Prefect's server
LINE_CAP = 2_000  # characters of a logged line


class StreamCleaner:
    """Takes secrets out of a text that comes in pieces; holds back an end that may be
    the start of a secret.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._pending = ""

    def feed(self, text: str) -> str:
        """Return what is certain by now, without secrets."""
        if not self._redactor.secrets:
            return text
        text = self._pending + text
        end = self._redactor.finder.find_end(text)
        self._pending = text[end:]
        return self._redactor.clean(text[:end])

    def finish(self) -> str:
        """Return what was held back."""
        text, self._pending = self._pending, ""
        return self._redactor.clean(text)


@dataclass
class LoggedLines:
    """Passes on what a cell prints line by line, up to a cap: each line logged costs a
    call to the server.
    """

    log: Callable[[str], None]
    rest: str  # where the lines beyond the cap are
    logged: int = 0
    left_out: int = 0
    _line: str = ""

    def add(self, text: str) -> None:
        """Take over a piece of text that may end within a line."""
        start = 0
        while self.logged < LINES_CAP:
            end = text.find("\n", start)
            if end < 0:
                self._line = _current(self._line + text[start:])
                return
            self._end_line(text[start:end])
            start = end + 1
        self.left_out += text.count("\n", start)

    def finish(self) -> None:
        """Pass on the last line, and say how many were left out."""
        if self._line:
            self._end_line("")
        if self.left_out:
            self.log(f"… {self.left_out:,} more lines: see {self.rest}")
        self.left_out = 0

    def _end_line(self, line: str) -> None:
        line, self._line = _current(self._line + line).rstrip("\r"), ""
        if line.strip():
            self.log(line if len(line) <= LINE_CAP else line[:LINE_CAP] + " …")
            self.logged += 1


def _current(line: str) -> str:
    """Return what a terminal would show of a line: what stands behind its last return
    of the carriage.
    """
    shown = line.rstrip("\r")
    return shown.rsplit("\r", 1)[-1][: LINE_CAP + 1] + "\r" * (shown != line)


TEXT_CAP = 100_000  # characters: of all that a cell prints, of one display, of a traceback
ERROR_CAP = 10_000  # characters of an error's own message, which the record and the log repeat
IMAGE_CAP = 7_000_000  # characters in base64: 5 MB
CELL_CAP = 20_000_000  # characters of all displays of a cell
# Characters of what this project reads from a report itself: a summary, what is to be
# accepted.
OWN_CAP = 10_000_000
_OWN_TYPES = "application/vnd.churn."

# HTML is cut behind a whole row or block where one ends in its last part, so that the
# last row shown is a whole one.
_BLOCK_END = re.compile(r".*</(?:tr|p|div|li|table)>", re.DOTALL | re.IGNORECASE)


@dataclass
class FullText:
    """The file beside the report that takes what the report has no room for; it is made
    with its first text.
    """

    path: Path
    error: str = ""
    _file: TextIO | None = None

    def write(self, text: str) -> None:
        """Append a text. A disk that is full costs this file, not the stage."""
        if self.error:
            return
        try:
            if self._file is None:
                self._file = self.path.open(
                    "w", encoding="utf-8", errors="backslashreplace", newline=""
                )
            self._file.write(text)
        except OSError as error:
            self._give_up(error)

    @property
    def begun(self) -> bool:
        """Whether a text was written."""
        return self._file is not None

    def close(self) -> None:
        """Close the file, if it was made."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.error = error.strerror or str(error)
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        with contextlib.suppress(OSError):  # the disk needs the room for the report
            self.path.unlink(missing_ok=True)


class CellOutputs:
    """The outputs of the `number`-th code cell while it runs; files are named after
    `beside`, a notebook.
    """

    def __init__(
        self, beside: Path, number: int, redactor: Redactor, log: Callable[[str], None]
    ) -> None:
        self.lines = LoggedLines(log, "the report")
        self.full = FullText(beside.with_name(f"{beside.stem}.cell-{number}.txt"))
        self._redactor = redactor
        self._cleaners: dict[str, StreamCleaner] = {}
        self._kept: list[str] = []  # what was printed, until it goes into the file
        self._room, self._cell_room = TEXT_CAP, CELL_CAP
        self._left_out = 0
        self._pointer: NotebookNode | None = None
        self._images = 0

    def clear(self) -> None:
        """The cell took back its outputs, as a progress display does."""
        self._room, self._cell_room, self._left_out, self._pointer = TEXT_CAP, CELL_CAP, 0, None
        self._kept.clear()

    def take_text(self, name: str, text: str) -> str:
        """Take over printed text and return the part that the report keeps."""
        if name not in self._cleaners:
            self._cleaners[name] = StreamCleaner(self._redactor)
        return self._keep(self._cleaners[name].feed(text))

    def take_data(self, data: dict[str, Any], *, is_update: bool = False) -> dict[str, Any]:
        """Return what the report keeps of a display: type -> content. Updates replace,
        so they use up no room.
        """
        kept, notes = {}, []
        for kind, received in self._redactor.clean_tree(data).items():
            content = _repair(kind, received)
            size = (
                len(content) if isinstance(content, str) else len(json.dumps(content, default=str))
            )
            cap = (
                IMAGE_CAP
                if kind.startswith("image/")
                else OWN_CAP
                if kind.startswith(_OWN_TYPES)
                else TEXT_CAP
            )
            if size <= min(cap, self._cell_room):
                kept[kind] = content
                self._cell_room -= 0 if is_update else size
            elif kind.startswith("image/"):
                notes.append(self._set_image_aside(kind, content, size))
            else:
                part, note = self._cut(kind, content, size)
                kept |= part
                notes.append(note)
        return _add_notes(kept, notes) if notes else kept

    def take_error(self, content: dict[str, Any]) -> dict[str, Any]:
        """Return what the report keeps of an error."""
        error: dict[str, Any] = self._redactor.clean_tree(content)
        traceback = "\n".join(error["traceback"])
        if len(traceback) + len(error["evalue"]) > TEXT_CAP:
            self._spill(f"\n{traceback}\n")
            head, tail = traceback[: TEXT_CAP // 2], traceback[-ERROR_CAP:]
            error["traceback"] = [head, f"… the whole traceback: see {self.full.path.name}", tail]
        if len(error["evalue"]) > ERROR_CAP:
            error["evalue"] = error["evalue"][:ERROR_CAP] + " …"
        return error

    def point(self, outputs: list[NotebookNode]) -> None:
        """Say behind the cell's outputs how much printed text was left out, and where it is."""
        if self._left_out and self._pointer is None:
            self._pointer = new_output("display_data")
            outputs.append(self._pointer)
        if self._pointer is not None:
            note = self._note(self._left_out, "more")
            self._pointer["data"] = NotebookNode(
                {"text/plain": note.text, "text/html": f"<p>{note.markup}</p>"}
            )

    def finish(self, outputs: list[NotebookNode]) -> None:
        """The cell has ended: nothing is held back any longer."""
        for name, cleaner in self._cleaners.items():
            text = self._keep(cleaner.finish())
            if text:
                outputs.append(new_output("stream", name=name, text=text))
                join_streams(outputs)
        self.full.close()
        self.point(outputs)
        if self.full.begun and not self.full.error:
            self.lines.rest = self.full.path.name
        self.lines.finish()

    def _keep(self, text: str) -> str:
        self.lines.add(text)
        kept, rest = text[: self._room], text[self._room :]
        self._room -= len(kept)
        if self.full.begun:
            self.full.write(text)
        else:
            self._kept.append(kept)
            if rest:
                self._spill(rest)
        self._left_out += len(rest)
        return kept

    def _spill(self, text: str) -> None:
        """Write a text into the file, behind all that was printed before."""
        if not self.full.begun:
            self.full.write("".join(self._kept))
            self._kept.clear()
        self.full.write(text)

    def _cut(self, kind: str, content: Any, size: int) -> tuple[dict[str, Any], _Note]:
        text = content if isinstance(content, str) else json.dumps(content, default=str)
        self._spill(f"\n--- {kind} of a display ---\n{text}\n")
        if kind not in ("text/plain", "text/html"):  # a part of it would be of no use
            return {}, self._note(size, kind)
        part = text[: min(TEXT_CAP, self._cell_room)]
        self._cell_room -= len(part)
        block = _BLOCK_END.match(part) if kind == "text/html" else None
        part = block.group() if block else part
        return {kind: part}, self._note(size - len(part), "more")

    def _set_image_aside(self, kind: str, content: Any, size: int) -> _Note:
        self._images += 1
        ending = kind.removeprefix("image/").partition("+")[0]
        path = self.full.path.with_suffix(f".{self._images}.{ending}")
        try:
            path.write_bytes(
                content.encode() if kind == "image/svg+xml" else base64.b64decode(content)
            )
        except (OSError, binascii.Error, ValueError, TypeError) as error:
            return _Note(f"… {kind} of {_amount(size)} left out; it could not be kept: {error}", "")
        return _Note(f"… {kind} of {_amount(size)}: see ", path.name)

    def _note(self, size: int, what: str) -> _Note:
        if self.full.error:
            return _Note(
                f"… {_amount(size)} {what}, which could not be kept: {self.full.error}", ""
            )
        return _Note(f"… {_amount(size)} {what}: see ", self.full.path.name)


@dataclass(frozen=True)
class _Note:
    """Says what was left out, and in which file it is."""

    words: str
    file: str

    @property
    def text(self) -> str:
        return self.words + self.file

    @property
    def markup(self) -> str:
        return (
            f"{html.escape(self.words)}<a "
            f'href="{html.escape(self.file)}">{html.escape(self.file)}</a>'
        )


def _repair(kind: str, content: Any) -> Any:
    """Return content that a notebook may hold: all but JSON is text. What is something
    else would end the stage.
    """
    is_json = kind == "application/json" or kind.endswith("+json")
    return content if is_json or isinstance(content, str) else str(content)


def join_streams(outputs: list[NotebookNode]) -> None:
    """Join the last output with the one before, if both are text of the same stream."""
    if len(outputs) > 1:
        earlier, last = outputs[-2:]
        if earlier.output_type == last.output_type == "stream" and earlier.name == last.name:
            earlier.text += last.text
            outputs.pop()


def _add_notes(data: dict[str, Any], notes: list[_Note]) -> dict[str, Any]:
    text = data.get("text/plain", "")
    noted = {**data, "text/plain": "\n".join([text, *(note.text for note in notes)]).lstrip("\n")}
    # A page shows HTML, not the image.
    if "text/html" in data or not any(kind.startswith("image/") for kind in data):
        markup = data.get("text/html", f"<pre>{html.escape(text)}</pre>" if text else "")
        noted["text/html"] = markup + "".join(f"<p>{note.markup}</p>" for note in notes)
    return noted


def _amount(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
