"""Compares a second run of this project with `dvc repro` on the same six notebooks, and
judges the ratios.

    python benchmarks/rerun.py [--rounds 3] [--only nothing,last] [--json FILE]

Two copies of the project, with the sample company, are run once, which is not timed.
Then, round after round, the same edit is made in both, and both are run again, each
round in the other order:

    nothing  nothing changed last     a statement more in 06_model_building.ipynb first
    a statement more in 01_ingestion.ipynb: the stage runs, writes the same data, and
    all else may stay data     another seed of the sample company in params.yaml: other
    data, and every stage runs

This project runs as `python orchestrator/flow.py`, with no Prefect server running:
where a stage has to run, it starts its temporary one. DVC runs as `dvc repro`; its
stages call Papermill, each in a process of its own, as dvc_stages.py lays out. Each
stage depends on its notebook, all modules beside it, params.yaml and the datasets that
it reads.

The number of stages that ran is printed with each time: both have to do the same work
for a ratio to mean anything.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from copies import project_copy
from dvc_stages import STAGES, write_stages

SCENARIOS = {
    "nothing": "nothing changed",
    "last": "stage 6 edited",
    "first": "stage 1 edited, same data",
    "data": "other data",
}
REACHES = {"nothing": 0.5, "last": 0.6}
COMMANDS = {
    "churn": [sys.executable, "orchestrator/flow.py"],
    "dvc repro": [sys.executable, "-m", "dvc", "repro", STAGES],
}
_EDITED = "edited = "

Result = dict[str, Any]
Copy = tuple[Path, dict[str, str]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", default=",".join(SCENARIOS), help="what is measured: " + ", ".join(SCENARIOS)
    )
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - SCENARIOS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(SCENARIOS)}")
    results: dict[str, dict[str, list[Result]]] = {
        name: {side: [] for side in COMMANDS} for name in chosen
    }
    with contextlib.ExitStack() as stack:
        copies = {side: stack.enter_context(project_copy()) for side in COMMANDS}
        _prepare(copies)
        for number in range(options.rounds):
            for position, name in enumerate(chosen):
                for side in list(COMMANDS)[:: -1 if number % 2 else 1]:
                    edit(copies[side][0], name, 1 + number * len(SCENARIOS) + position)
                    results[name][side].append(measure(side, copies[side]))
                    _tell(f"round {number + 1}, {SCENARIOS[name]}, {side}", results[name][side][-1])
                if options.json:
                    options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    _print_table(results)


def _prepare(copies: dict[str, Copy]) -> None:
    """Run both for the first time."""
    root, variables = copies["dvc repro"]
    variables |= {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(root.parent / "site")}
    write_stages(root)
    for side, copy in copies.items():
        _tell(f"first run, {side}", measure(side, copy))


def edit(root: Path, scenario: str, number: int) -> None:
    """Make the edit of a scenario in a copy; with another number it is another edit."""
    if scenario == "data":
        params = root / "params.yaml"
        text, count = re.subn(
            r"(?m)^  seed: \d+$", f"  seed: {100 + number}", params.read_text(encoding="utf-8")
        )
        assert count == 1, "params.yaml has not one seed of the sample company"
        params.write_text(text, encoding="utf-8")
    elif scenario != "nothing":
        (path,) = root.glob("notebooks/06*.ipynb" if scenario == "last" else "notebooks/01*.ipynb")
        notebook = nbformat.read(path, as_version=4)
        if not notebook.cells[-1].source.startswith(_EDITED):
            notebook.cells.append(nbformat.v4.new_code_cell())
        notebook.cells[-1].source = f"{_EDITED}{number}"
        nbformat.write(notebook, path)


def measure(side: str, copy: Copy) -> Result:
    """Run once; return the seconds, and how many stages ran."""
    root, variables = copy
    before, start = _read_newest(root), time.perf_counter()
    run = subprocess.run(COMMANDS[side], cwd=root, env=variables, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if run.returncode:
        raise SystemExit(f"{side} failed:\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}")
    if side == "dvc repro":
        return {"seconds": seconds, "stages": run.stdout.count("Running stage '")}
    after = _read_newest(root)
    statuses = [stage["status"] for stage in after["stages"]] if after != before else []
    return {"seconds": seconds, "stages": statuses.count("completed")}


def _read_newest(root: Path) -> Result:
    files = sorted(root.glob("outputs/runs/*/run.json"))
    return dict(json.loads(files[-1].read_text(encoding="utf-8"))) if files else {}


def _tell(what: str, result: Result) -> None:
    print(f"{what}: {result['seconds']:.2f} s, {result['stages']} stages ran", file=sys.stderr)


def _print_table(results: dict[str, dict[str, list[Result]]]) -> None:
    print(
        f"\n{'seconds, median (stages run)':30}"
        + "".join(f"{side:>18}" for side in COMMANDS)
        + f"{'ratio':>8}"
    )
    for name, sides in results.items():
        medians = {
            side: statistics.median(one["seconds"] for one in runs) for side, runs in sides.items()
        }
        stages = {
            side: "/".join(sorted({str(one["stages"]) for one in runs}))
            for side, runs in sides.items()
        }
        cells = "".join(f"{f'{medians[side]:.2f} ({stages[side]})':>18}" for side in COMMANDS)
        ratio = medians["churn"] / medians["dvc repro"]
        print(f"{SCENARIOS[name]:30}{cells}{ratio:8.2f}{_judge(ratio, REACHES.get(name))}")


def _judge(ratio: float, reach: float | None) -> str:
    return f"  reach {reach:.2f}: {'met' if ratio <= reach else 'NOT MET'}" if reach else ""


if __name__ == "__main__":
    main()
