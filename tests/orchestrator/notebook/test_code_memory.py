"""What is known of code is known again in the next process, as long as its content is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.notebook.code import Code, read_module_code
from orchestrator.notebook.code_memory import CodeMemory

TEXT = """
import pandas as pd
from churn.stage import Stage
def load():
    import numpy
    return pd, numpy
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module with imports at once and later."""
    file = tmp_path / "one.py"
    file.write_text(TEXT)
    return file


def read(module: Path, memory: CodeMemory) -> Code:
    """Read the module."""
    return read_module_code(module, "one", "notebooks/one.py", memory)


def test_the_next_process_need_not_look(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is the same to the last name; other code is looked at."""
    memory = CodeMemory(tmp_path / "memory/code.json")
    found = read(module, memory)
    assert len(found.imports) == 3
    assert found.names is not None
    memory.save()
    again = CodeMemory(tmp_path / "memory/code.json")
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.notebook.code._read_module", lambda *_: pytest.fail("looked"))
        assert read(module, again) == found
    module.write_text(TEXT + "\ndef more():\n    return nothing\n")
    assert read(module, again).problems


def test_problems_are_looked_for_each_time(module: Path, tmp_path: Path) -> None:
    """What cannot be parsed may say more than a memory should keep."""
    module.write_text("token = 'secret\n")
    memory = CodeMemory(tmp_path / "code.json")
    assert "SyntaxError" in read(module, memory).problems[0]
    memory.save()
    assert not (tmp_path / "code.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[1]", "null"])
def test_a_memory_that_is_broken_is_none(module: Path, tmp_path: Path, content: str) -> None:
    """It is made anew."""
    (tmp_path / "code.json").write_text(content)
    memory = CodeMemory(tmp_path / "code.json")
    assert not read(module, memory).problems
    memory.save()
    assert (tmp_path / "code.json").stat().st_size > 100


def test_what_was_asked_last_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old contents do not pile up."""
    monkeypatch.setattr("orchestrator.notebook.code_memory._MOST", 2)
    memory = CodeMemory(tmp_path / "code.json")
    for content in (b"a", b"b", b"a", b"c"):
        memory.recall("length", content, lambda: 1)
    memory.save()
    kept = CodeMemory(tmp_path / "code.json")
    asked = [kept.recall("length", content, lambda: 2) for content in (b"a", b"b", b"c")]
    assert asked == [1, 2, 1]
