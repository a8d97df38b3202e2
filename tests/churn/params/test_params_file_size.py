"""Params files that would take hours, or all memory, to read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from churn.params import ParameterError, load_params

FACTS = "name: Test\ncustomer_id: id\nlabel: {column: gone, positive: '1'}\n"
SOURCES = "sources:\n  a: {file: a.csv}\n"
MULTIPLYING = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (MULTIPLYING + FACTS + SOURCES + "stages: {validation: {min_rows: *i}}\n", "aliases"),
        (FACTS + SOURCES + "stages: &all {validation: {min_rows: *all}}\n", "alias"),
        (FACTS + SOURCES + f"x: {'[' * 20_000}{']' * 20_000}\n", "brackets"),
        (FACTS + SOURCES + f"x: {'{a: ' * 20_000}1{'}' * 20_000}\n", "brackets"),
        (FACTS + SOURCES + f"x:\n  {'- ' * 20_000}1\n", "nested"),
        (
            FACTS.replace("gone, positive: '1'", "x, end_date: y, horizon_days: 9999999999999")
            + SOURCES,
            "horizon_days",
        ),
    ],
)
def test_what_cannot_be_facts_is_refused_at_once(tmp_path: Path, text: str, named: str) -> None:
    """Within a second, and by name."""
    file = tmp_path / "own.yaml"
    file.write_text(text)
    began = time.monotonic()
    with pytest.raises(ParameterError, match=named) as refused:
        load_params(file)
    assert time.monotonic() - began < 1
    assert str(file) in str(refused.value)


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    """As PowerShell 5 writes it."""
    file = tmp_path / "own.yaml"
    file.write_text(FACTS + SOURCES, encoding="utf-8-sig")
    assert load_params(file).name == "Test"
