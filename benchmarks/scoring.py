"""Scores a large sample company with a model that was trained on a small one, and tells
the time of each stage.

    python benchmarks/scoring.py [--customers 1000000] [--json FILE]

The model is trained on the sample company of `params.yaml`. Then a company is made,
which is not timed, as CSV files: so large that about `--customers` of its customers are
still there on the as-of day, and are scored. Printed are the seconds and the peak
memory of each stage: the largest sum over all processes of the run at one moment (where
the system tells it, without what they share), looked at ten times a second. The reach
is 60 s for the stage `scoring` at a million customers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from copies import project_copy
from scale import make_sources, measure, moment

# Of the sample company's customers are still there on the first day after its data.
SHARE_LEFT = 0.4227
REACH = 60  # seconds
MILLION = 1_000_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=MILLION, help="about how many are scored")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        project_copy() as (root, variables),
    ):
        sources = make_sources(Path(folder, "company"), round(options.customers / SHARE_LEFT))
        print("trains a model ...", file=sys.stderr)
        measure([sys.executable, "orchestrator/flow.py", "--quiet"], root, variables)
        print("scores ...", file=sys.stderr)
        found = run_scoring(root, variables, sources)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print_table(found)


def run_scoring(root: Path, variables: dict[str, str], sources: Path) -> dict[str, Any]:
    """Score the company once; return the seconds and the peak of memory of each stage."""
    out, params = str(sources / "scores.csv"), str(sources / "params.yaml")
    command = [
        sys.executable,
        "-m",
        "orchestrator",
        "score",
        "--sources",
        params,
        "--out",
        out,
        "--quiet",
    ]
    result = measure(command, root, variables)
    records = (
        json.loads(file.read_text(encoding="utf-8"))
        for file in root.glob("outputs/runs/*/run.json")
    )
    (record,) = (record for record in records if record["pipeline"] == "scoring")
    stages = {}
    for stage in record["stages"]:
        begun, ended = (moment(stage[key]) for key in ("started_at", "ended_at"))
        peak = max(
            (memory for when, memory in result["memory"] if begun <= when <= ended), default=0
        )
        stages[stage["name"]] = {"seconds": ended - begun, "peak": peak}
    scored = record["stages"][-1]["results"]
    return {
        "seconds": result["seconds"],
        "peak": result["peak"],
        "stages": stages,
        "results": scored,
    }


def print_table(found: dict[str, Any]) -> None:
    """Print the stages, a line each."""
    results = found["results"]
    print(f"{results['customers']:,} customers, scored with {results['scored_with']}")
    print(f"{'':16}{'seconds':>10}{'peak, GB':>10}")
    for name, stage in found["stages"].items():
        print(f"{name:16}{stage['seconds']:10.1f}{stage['peak'] / 1e9:10.2f}")
    print(f"{'all, with start':16}{found['seconds']:10.1f}{found['peak'] / 1e9:10.2f}")
    seconds = found["stages"]["scoring"]["seconds"]
    if results["customers"] >= 0.95 * MILLION:
        print(f"reach: scoring in {REACH} s: {'met' if seconds <= REACH else 'NOT MET'}")


if __name__ == "__main__":
    main()
