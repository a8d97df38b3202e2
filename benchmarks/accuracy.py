"""What the candidates are worth on the flat telecom table, by nested 5x5 cross-validation on all of its customers.

    CHURN_DATA=FOLDER python benchmarks/accuracy.py [--params examples/flat_table.yaml] [--repeats 5]

The pipeline itself runs through to the features, in an empty copy; then each candidate of `06_model_building.ipynb` is
tuned and fitted anew on each training part, with the notebook's own parameters, and measured on the rest. (The notebook
keeps a test set apart and cross-validates on the others.) Printed are the means over the folds.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from copies import ROOT, project_copy

NOTEBOOK = "06_model_building.ipynb"
SHOWN = ["roc_auc", "average_precision", "log_loss", "brier"]


def main() -> None:
    """Make the features, cross-validate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=ROOT / "examples/flat_table.yaml")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with project_copy() as (root, variables):
        command = ["orchestrator/flow.py", "--quiet", "--until", "transformation", "--params", options.params.resolve()]
        subprocess.run([sys.executable, *map(str, command)], cwd=root, env=variables, check=True)
        start = time.perf_counter()
        scores = cross_validate(root, options.params.resolve(), options.repeats)
    print(scores.groupby("model", sort=False)[SHOWN].mean().round(4).to_string())
    print(f"{len(scores) // scores['model'].nunique()} folds in {time.perf_counter() - start:.0f} s")


def cross_validate(root: Path, params: Path, repeats: int) -> Any:
    """Execute the notebook's own cells, with all customers as training customers; return each fold's metrics."""
    sys.path.insert(0, str(root / "notebooks"))
    cells = {cell.id: cell.source for cell in nbformat.read(root / "notebooks" / NOTEBOOK, as_version=4).cells}
    names: dict[str, Any] = {}
    with contextlib.chdir(root / "notebooks"), contextlib.redirect_stdout(io.StringIO()):
        for cell in ("imports", "parameters"):
            exec(cells[cell], names)
        names |= {"params_file": str(params), "cv_repeats": repeats}
        for cell in ("load-training-set", "hold-out-test"):
            exec(cells[cell], names)
        names |= {"train_x": names["features"], "train_y": names["churned"], "train_twins": names["twin_of"]}
        for cell in ("candidates", "cross-validate"):
            exec(cells[cell], names)
    return names["scores"]


if __name__ == "__main__":
    main()
