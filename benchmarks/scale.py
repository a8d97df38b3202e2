"""Runs stages 1 to 5 on sample companies of growing size, beside the same work as one
DuckDB script.

    python benchmarks/scale.py [--sizes 10000,100000,1000000] [--rounds 1] [--json FILE]

The four tables are made first, which is not timed, as CSV files. Then, round after
round, this project runs them through to versioning, `python orchestrator/flow.py
--until versioning`, in an empty copy, with Prefect's temporary server, and
`duckdb_pipeline.py` does the work of the five stages in one process. Printed are the
seconds and the peak memory of each stage, those of the whole, and the ratio. Memory is
the largest sum over all processes of the run at one moment (where the system tells it,
without what they share), looked at ten times a second.

The feature store's online part is filled as the notebook decides by itself at each size.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from copies import project_copy
from ruamel.yaml import YAML

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
STAGES = ("ingestion", "validation", "preparation", "transformation", "versioning")
DATABASES = {"personal": "crm.sqlite", "internet": "services.sqlite", "phone": "services.sqlite"}
REACHES = {"time": 2.5, "memory": 3e9}  # at a million customers
MILLION = 1_000_000

Result = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", default="10000,100000,1000000", help="numbers of customers, with commas"
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    results: dict[int, dict[str, list[Result]]] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for size in map(int, options.sizes.split(",")):
            sources = make_sources(Path(folder, str(size)), size)
            results[size] = {"churn": [], "duckdb": []}
            for number in range(options.rounds):
                results[size]["churn"].append(run_churn(sources))
                results[size]["duckdb"].append(run_duckdb(sources))
                for side, runs in results[size].items():
                    print(
                        f"round {number + 1}, {size:,} customers, {side}: "
                        f"{runs[-1]['seconds']:.1f} s",
                        file=sys.stderr,
                    )
                if options.json:
                    options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
            print_table(size, results[size])
            shutil.rmtree(sources)


def make_sources(folder: Path, customers: int) -> Path:
    """Make the sample company, and write its four tables as CSV files and the facts of
    them as `params.yaml`.
    """
    command = [
        sys.executable,
        "-m",
        "churn.sample.company",
        "--customers",
        str(customers),
        "--out",
        str(folder),
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    for table, database in DATABASES.items():
        connection = sqlite3.connect(folder / database)
        rows = connection.execute(f"SELECT * FROM {table}")
        with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([column[0] for column in rows.description])
            writer.writerows(rows)
        connection.close()
    facts = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    facts["sources"] = {
        name: {"file": str(folder / f"{name}.csv")}
        | {key: source[key] for key in ("columns", "absent", "present") if key in source}
        for name, source in facts["sources"].items()
    }
    del facts["sample"]
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(facts, file)
    return folder


def run_churn(sources: Path) -> Result:
    """Run this project once, through to versioning."""
    with project_copy() as (root, variables):
        params = str(sources / "params.yaml")
        command = [
            sys.executable,
            "orchestrator/flow.py",
            "--params",
            params,
            "--until",
            "versioning",
            "--quiet",
        ]
        result = measure(command, root, variables)
        (file,) = root.glob("outputs/runs/*/run.json")
        record = json.loads(file.read_text(encoding="utf-8"))
    result["stages"] = {}
    for stage in record["stages"][: len(STAGES)]:
        begun, ended = (moment(stage[key]) for key in ("started_at", "ended_at"))
        peak = max(
            (memory for when, memory in result["memory"] if begun <= when <= ended), default=0
        )
        result["stages"][stage["name"]] = {"seconds": ended - begun, "peak": peak}
    return result


def run_duckdb(sources: Path) -> Result:
    """Run the DuckDB script once."""
    with tempfile.TemporaryDirectory() as folder:
        script = [sys.executable, str(HERE / "duckdb_pipeline.py")]
        result = measure(
            [*script, str(sources), folder, str(sources / "params.yaml")], HERE, dict(os.environ)
        )
    result["stages"] = {
        name: {"seconds": value} for name, value in json.loads(result["output"]).items()
    }
    return result


def measure(command: list[str], folder: Path, variables: dict[str, str]) -> Result:
    """Run a command; return its seconds, its output, and the memory of all its
    processes, moment by moment.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=out, stderr=subprocess.STDOUT
        )
        memory = []
        while process.poll() is None:
            memory.append((time.time(), sum(map(own_memory, family(process.pid)))))
            time.sleep(0.1)
        out.seek(0)
        output = out.read().decode()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output[-3000:]}")
    peak = max(used for _, used in memory)
    return {
        "seconds": time.perf_counter() - start,
        "output": output,
        "memory": memory,
        "peak": peak,
    }


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it started."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def own_memory(process: psutil.Process) -> int:
    """Return what a process has for itself; 0 when it is gone."""
    try:
        return int(process.memory_full_info().uss)
    except (psutil.Error, OSError):
        return 0


def moment(text: str) -> float:
    """Return the time in seconds of a text in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def print_table(size: int, results: dict[str, list[Result]]) -> None:
    """Print the medians of one size."""
    print(
        f"\n{size:,} customers{'':8}{'churn, s':>10}{'peak, GB':>10}{'DuckDB, s':>11}{'ratio':>8}"
    )
    for name in STAGES:
        ours, theirs = (
            statistics.median(one["stages"][name]["seconds"] for one in results[side])
            for side in ("churn", "duckdb")
        )
        peak = statistics.median(one["stages"][name]["peak"] for one in results["churn"])
        print(f"  {name:22}{ours:10.2f}{peak / 1e9:10.2f}{theirs:11.2f}{ours / theirs:8.2f}")
    stages = {
        side: statistics.median(
            sum(stage["seconds"] for stage in one["stages"].values()) for one in runs
        )
        for side, runs in results.items()
    }
    peak = statistics.median(one["peak"] for one in results["churn"])
    ratio = stages["churn"] / stages["duckdb"]
    line = f"  {'the five stages':22}{stages['churn']:10.2f}{peak / 1e9:10.2f}"
    line += f"{stages['duckdb']:11.2f}{ratio:8.2f}"
    print(line + (f"  {judge(ratio, peak)}" if size == MILLION else ""))
    whole = {
        side: statistics.median(one["seconds"] for one in runs) for side, runs in results.items()
    }
    print(f"  {'with start and end':22}{whole['churn']:10.2f}{'':10}{whole['duckdb']:11.2f}")
    print(
        "  peak of DuckDB: "
        f"{statistics.median(one['peak'] for one in results['duckdb']) / 1e9:.2f} GB"
    )


def judge(ratio: float, peak: float) -> str:
    """Say whether the reaches are met."""
    time_met, memory_met = ratio <= REACHES["time"], peak <= REACHES["memory"]
    return (
        f"reach {REACHES['time']}: {'met' if time_met else 'NOT MET'}; "
        f"{REACHES['memory'] / 1e9:g} GB: {'met' if memory_met else 'NOT MET'}"
    )


if __name__ == "__main__":
    main()
