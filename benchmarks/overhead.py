"""Compares a run with the same notebooks executed in plainer ways, and says where this
project's time goes.

    python benchmarks/overhead.py [--rounds 3] [--only floor,cold] [--json FILE]

Round after round it runs, one after the other, each in an empty copy of the project
with the sample company:

    floor      the code cells of all six notebooks in one plain Python process
    papermill  a loop of six `papermill.execute_notebook` calls
    prefect    a plain Prefect flow with six tasks that call it, with Prefect's temporary server
    cold       this project, `python orchestrator/flow.py`, with no server running
    served     the same with a Prefect server that runs already

Not timed: the compilation of the project's code, the first creation of Prefect's
database (made once, and copied for each run), and the start of the server of `served`.
`floor` and `papermill` leave no record, report page or check.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from copies import environment, project_copy
from timeline import read_timeline

try:
    import resource
except ImportError:  # Windows does not tell the processor time of ended children
    resource = None  # type: ignore[assignment]

HERE = Path(__file__).resolve().parent
NAMES = {
    "floor": "floor",
    "papermill": "papermill loop",
    "prefect": "plain Prefect flow",
    "cold": "churn, cold",
    "served": "churn, with a Prefect server",
}
REACHES = [
    ("cold", "papermill", 0.60),
    ("cold", "prefect", 0.50),
    ("served", "papermill", 0.45),
    ("served", "floor", 1.25),
]
TO_FIRST_CELL = 0.5

Result = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", default=",".join(NAMES), help="ways to run, with commas: " + ", ".join(NAMES)
    )
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - NAMES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(NAMES)}")
    results: dict[str, list[Result]] = {name: [] for name in chosen}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        prefect_home = _make_prefect_home(Path(folder))
        for number in range(options.rounds):
            for name in chosen:
                results[name].append(measure(name, prefect_home))
                print(
                    f"round {number + 1}, {NAMES[name]}: {results[name][-1]['wall']:.1f} s",
                    file=sys.stderr,
                )
                if options.json:
                    options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    _print_table(results)
    _print_ratios(results)
    for name in [name for name in chosen if name in ("cold", "served")]:
        _print_timeline(NAMES[name], results[name])
    if "floor" in chosen:
        _print_cells(results["floor"][-1]["cells"])


def measure(name: str, prefect_home: Path) -> Result:
    """Run once in one way; return seconds of wall and processor time, and where they
    went as far as that is known.
    """
    with project_copy() as (root, variables), contextlib.ExitStack() as stack:
        shutil.copytree(prefect_home, variables["PREFECT_HOME"])
        if name == "served":
            variables["PREFECT_API_URL"] = stack.enter_context(_serving(variables))
        elif _is_open(4200):
            raise SystemExit(
                "A Prefect server runs at port 4200, which the runs would use: stop it first."
            )
        cells = root.parent / "cells.json"
        command = [sys.executable, str(HERE / "baselines.py"), name, str(root), str(cells)]
        if name in ("cold", "served"):
            command = [sys.executable, "orchestrator/flow.py"]
        before, start = _processor_seconds(), time.time()
        run = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True)
        end = time.time()
        if run.returncode:
            raise SystemExit(f"{NAMES[name]} failed:\n{run.stdout[-2000:]}\n{run.stderr[-4000:]}")
        result: Result = {"wall": end - start, "processor": _processor_seconds() - before}
        if name in ("cold", "served"):
            result["timeline"] = read_timeline(root, start, end)
        if cells.exists():
            result["cells"] = json.loads(cells.read_text(encoding="utf-8"))
        return result


def _make_prefect_home(folder: Path) -> Path:
    """Let Prefect create its database, which takes it many seconds, once."""
    home = folder / "prefect"
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
    subprocess.run(command, env=environment(folder, home), check=True, stdout=subprocess.DEVNULL)
    return home


@contextlib.contextmanager
def _serving(variables: dict[str, str]) -> Iterator[str]:
    """Yield the API address of a Prefect server that is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    server = subprocess.Popen(
        command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}/api"
    try:
        for _ in range(600):
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{address}/health", timeout=1),
            ):
                break
            time.sleep(0.2)
        time.sleep(3)  # its services start after its first answer
        yield address
    finally:
        server.terminate()
        server.wait(30)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _processor_seconds() -> float:
    """Return what all ended children have used; of `served`, the server is not among them yet."""
    if resource is None:
        return float("nan")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _print_table(results: dict[str, list[Result]]) -> None:
    print(f"\n{'seconds':30}{'median':>8}{'least':>8}{'most':>8}{'processor':>11}")
    for name, runs in results.items():
        walls = [run["wall"] for run in runs]
        processor = statistics.median(run["processor"] for run in runs)
        print(
            f"{NAMES[name]:30}{statistics.median(walls):8.2f}{min(walls):8.2f}{max(walls):8.2f}{processor:11.2f}"
        )


def _print_ratios(results: dict[str, list[Result]]) -> None:
    print()
    for name, other, reach in REACHES:
        if name in results and other in results:
            ratio = _median_wall(results[name]) / _median_wall(results[other])
            print(f"{NAMES[name]} / {NAMES[other]}: {ratio:.2f}, {_judge(ratio, reach)}")


def _median_wall(runs: list[Result]) -> float:
    return statistics.median(run["wall"] for run in runs)


def _judge(value: float, reach: float) -> str:
    return f"reach {reach:.2f}: {'met' if value <= reach else 'NOT MET'}"


def _print_timeline(name: str, runs: list[Result]) -> None:
    """Print the medians of where a run's time went."""
    timelines = [run["timeline"] for run in runs]
    columns = ("to first cell", "cells", "after last cell")
    print(f"\n{name}, seconds{'':10}" + "".join(f"{column:>17}" for column in columns))
    sums = dict.fromkeys(columns, 0.0)
    for stage in timelines[0]["stages"]:
        parts = {
            part: statistics.median(one["stages"][stage][part] for one in timelines)
            for part in columns
        }
        sums = {part: sums[part] + parts[part] for part in columns}
        line = "".join(f"{value:17.2f}" for value in parts.values())
        print(f"  {stage:{len(name) + 17}}{line}   {_judge(parts['to first cell'], TO_FIRST_CELL)}")
    print(f"  {'sum':{len(name) + 17}}" + "".join(f"{value:17.2f}" for value in sums.values()))
    for part in ("before the first stage", "between stages", "after the last stage"):
        print(f"  {part}: {statistics.median(one[part] for one in timelines):.2f}")


def _print_cells(cells: list[Result]) -> None:
    """Print the cells that cost most in the floor's last round."""
    whole, importing = (sum(cell[part] for cell in cells) for part in ("seconds", "importing"))
    print(f"\nfloor: {whole:.2f} s in cells, of which {importing:.2f} s in imports; the dearest:")
    print(f"{'seconds':>9}{'imports':>9}")
    for cell in sorted(cells, key=lambda cell: -cell["seconds"])[:15]:
        first = cell["source"].strip().splitlines()[0][:70]
        print(f"{cell['seconds']:9.2f}{cell['importing']:9.2f}  {cell['notebook']}: {first}")


if __name__ == "__main__":
    main()
