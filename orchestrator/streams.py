"""What a cell prints, as it comes in pieces: without secrets, and line by line into the log, up to a cap."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.redaction import Redactor

LINES_CAP = 500  # lines of a cell that are logged, each at the price of a call to Prefect's server
LINE_CAP = 2_000  # characters of a logged line


class StreamCleaner:
    """Takes secrets out of a text that comes in pieces; holds back an end that may be the start of a secret."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._secrets = tuple(redactor.secrets)
        self._longest = max(map(len, self._secrets), default=0)
        self._whole = re.compile("|".join(map(re.escape, self._secrets)))
        self._starts = re.compile("|".join(re.escape(first) for first in {secret[0] for secret in self._secrets}))
        self._pending = ""

    def feed(self, text: str) -> str:
        """Return what is certain by now, without secrets."""
        if not self._secrets:
            return text
        text = self._pending + text
        end = self._find_certain_end(text)
        self._pending = text[end:]
        return self._redactor.clean(text[:end])

    def finish(self) -> str:
        """Return what was held back."""
        text, self._pending = self._pending, ""
        return self._redactor.clean(text)

    def _find_certain_end(self, text: str) -> int:
        """Return where the end that may be the start of a secret begins, but not in the middle of a whole one."""
        end = self._find_begun(text)
        for match in self._whole.finditer(text, max(0, end - self._longest)):
            if match.start() < end < match.end():
                return match.end()
        return end

    def _find_begun(self, text: str) -> int:
        for start in self._starts.finditer(text, max(0, len(text) - self._longest + 1)):
            rest = text[start.start() :]
            if any(secret.startswith(rest) and secret != rest for secret in self._secrets):
                return start.start()
        return len(text)


@dataclass
class LoggedLines:
    """Passes on what a cell prints line by line, up to a cap: each line logged costs a call to the server."""

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
    """Return what a terminal would show of a line: what stands behind its last return of the carriage."""
    shown = line.rstrip("\r")
    return shown.rsplit("\r", 1)[-1][: LINE_CAP + 1] + "\r" * (shown != line)
