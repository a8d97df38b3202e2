"""A model that keeps the decisions of its training, and a stage that follows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat

from churn.stage import DECISIONS, MODEL_FACTS
from helpers.companies import run_stage
from helpers.projects import ROOT


def write_model(folder: Path, dataset: Path, data_set: str) -> str:
    """Write the facts of a model that was trained under the decisions of a dataset."""
    decisions = json.loads((dataset / f"{DECISIONS}.json").read_text(encoding="utf-8"))
    facts = {"data_set": data_set, "model": "tiny", "features": {"x": {}}, "decisions": decisions}
    folder.mkdir(parents=True)
    (folder / MODEL_FACTS).write_text(json.dumps(facts), encoding="utf-8")
    return str(folder)


def run_for_scoring(
    notebook: str, parameters: dict[str, Any], folder: Path
) -> tuple[nbformat.NotebookNode, dict[str, Any]]:
    """Run a stage notebook as it runs when customers are scored: without the cells that
    only training needs.
    """
    content = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", as_version=4)
    content.cells = [
        cell for cell in content.cells if "training" not in cell.metadata.get("tags", [])
    ]
    shorter = folder / "for_scoring.ipynb"
    nbformat.write(content, shorter)
    return run_stage(notebook, parameters, folder, source=shorter)
