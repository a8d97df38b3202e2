"""Commands that use a model tell at once when the data set has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.projects import churn, copy_project
from helpers.registered_models import connect, train

MINE = """
name: Mine
customer_id: id
label: {column: gone, positive: "1"}
sources: {customers: {file: customers.csv}}
"""


@pytest.mark.parametrize(
    "command", [("score", "--out", "x.csv"), ("serve-model",), ("rollback",), ("promote", "1")]
)
def test_without_a_champion_of_the_data_set_nothing_runs(
    tmp_path: Path, outputs: Path, command: tuple[str, ...]
) -> None:
    """Exit code 2; the data set, those that have a champion, and what to run are named."""
    root = copy_project(tmp_path)
    (root / "mine.yaml").write_text(MINE, encoding="utf-8")
    connect(outputs)
    train(outputs, "Sample telecom company (synthetic)")
    ended = churn(root, *command, "--params", "mine.yaml")
    assert ended.returncode == 2, ended.stderr
    for text in ("'Mine'", "'Sample telecom company (synthetic)'", "churn run --params mine.yaml"):
        assert text in ended.stderr
    assert not (root / "outputs/runs").exists()
