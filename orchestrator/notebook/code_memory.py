"""What was found out about code, by its content, from one command to the next: to read all modules
of a project takes most of the time of a command that finds nothing to do.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from churn.dvc_repository import dvc_folder
from orchestrator.atomic_files import WriteError, write_atomically

_FILE = "tmp/churn/code.json"
_MOST = 2_000  # answers, those asked for last; a project asks some 300


class CodeMemory:
    """Answers to questions about code, as JSON, kept in a file when the process ends."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._answers: dict[str, Any] = {}
        self._is_new = False
        with contextlib.suppress(OSError, ValueError, TypeError):
            self._answers = dict(json.loads(file.read_bytes()))

    def recall(self, question: str, content: bytes, find_out: Callable[[], Any]) -> Any:
        """Return the answer to a question about a content; what is None is not kept."""
        asked = f"{_method()}\n{question}\n".encode("utf-8", "surrogatepass")
        key = hashlib.sha256(asked + content).hexdigest()
        if key in self._answers:
            self._answers[key] = self._answers.pop(key)  # now the last one
            return self._answers[key]
        answer = find_out()
        if answer is not None:
            self._answers[key] = answer
            self._is_new = True
        return answer

    def save(self) -> None:
        """Write what is new, where that is possible."""
        if not self._is_new:
            return
        kept = dict([*self._answers.items()][-_MOST:])
        with contextlib.suppress(OSError, WriteError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, json.dumps(kept).encode(), durable=False)


@functools.cache
def memory_of(root: Path) -> CodeMemory:
    """Return the memory of a project's code; without a folder of DVC nothing is kept."""
    folder = dvc_folder(root)
    memory = CodeMemory(folder / _FILE)
    if folder.is_dir():
        atexit.register(memory.save)
    return memory


@functools.cache
def _method() -> str:
    """Name what decides the answers besides the code: Python, Pyflakes, and this package."""
    own = b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    return f"{sys.version} {version('pyflakes')} {hashlib.sha256(own).hexdigest()}"
