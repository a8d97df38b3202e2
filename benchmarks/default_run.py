"""Times the default run: the whole of it, each stage, and the peak memory of all its
processes together.

    python benchmarks/default_run.py [--runs 3]

Each run starts from an empty copy of the project, without data and outputs, as on a new machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from datetime import datetime
from typing import Any

import psutil
from copies import project_copy


def main() -> None:
    """Run, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    measured = [measure() for _ in range(parser.parse_args().runs)]
    print(
        f"{'':16}"
        + "".join(f"{f'run {number + 1}':>10}" for number in range(len(measured)))
        + f"{'median':>10}"
    )
    for name in measured[0]:
        values = [one[name] for one in measured]
        print(
            f"{name:16}"
            + "".join(f"{value:10.1f}" for value in [*values, statistics.median(values)])
        )
    print(
        "stages and whole in seconds; memory is the sum of the processes' unique memory (USS), "
        "at its peak, in MB"
    )


def measure() -> dict[str, float]:
    """Do one run and return its figures."""
    with project_copy() as (root, environment):
        start, peak = time.monotonic(), 0.0
        output = root.parent / "log"
        with output.open("wb") as log:
            run = psutil.Popen(
                [sys.executable, "orchestrator/flow.py"],
                cwd=root,
                env=environment,
                stdout=log,
                stderr=log,
            )
            while run.poll() is None:
                peak = max(peak, _memory_of_tree(run))
                time.sleep(0.5)
        whole = time.monotonic() - start
        if run.returncode:
            raise SystemExit(f"The run failed:\n{output.read_text(encoding='utf-8')}")
        (record,) = root.glob("outputs/runs/*/run.json")
        stages = {
            stage["name"]: _seconds(stage)
            for stage in json.loads(record.read_text(encoding="utf-8"))["stages"]
        }
        return {**stages, "whole": whole, "memory": peak / 1e6}


def _memory_of_tree(process: psutil.Process) -> float:
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().uss
        except psutil.Error:
            continue  # it ended meanwhile
    return total


def _seconds(stage: dict[str, Any]) -> float:
    started, ended = (datetime.fromisoformat(stage[key]) for key in ("started_at", "ended_at"))
    return (ended - started).total_seconds()


if __name__ == "__main__":
    main()
