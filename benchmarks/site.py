"""How long the site takes to be rebuilt, and how large a run's pages are.

    python benchmarks/site.py [--runs 200,1000]

One real run of the sample company in an empty copy; its record is then repeated, with
other ids and times, and the front page and the run's page are written three times, in
one process that has the templates loaded. Printed are the medians, and the bytes of all
HTML of the real run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from copies import ROOT, project_copy

ROUNDS = 3


def main() -> None:
    """Run once, repeat the record, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", default="200,1000", help="numbers of runs, with commas")
    sizes = [int(size) for size in parser.parse_args().runs.split(",")]
    with project_copy() as (root, variables):
        subprocess.run(
            [sys.executable, "orchestrator/flow.py", "--quiet"], cwd=root, env=variables, check=True
        )
        (real,) = (root / "outputs/runs").iterdir()
        size = sum(page.stat().st_size for page in real.glob("*.html"))
        print(f"a run's HTML: {size / 1e6:.1f} MB")
        for runs in sorted(sizes):
            repeat(real, runs)
            print(f"{runs:,} runs: {measure(root):.2f} s for the front page and a run's page")


def repeat(real: Path, runs: int) -> None:
    """Write the record of a run again and again, a day earlier each, until there are so
    many runs.
    """
    record = json.loads((real / "run.json").read_text(encoding="utf-8"))
    for days in range(1, runs):
        earlier = [
            datetime.datetime.fromisoformat(record[key]) - datetime.timedelta(days)
            for key in _TIMES
        ]
        run_id = f"{earlier[0]:%Y-%m-%d-%H%M%S}-{days:04x}"
        folder = real.parent / run_id
        folder.mkdir(exist_ok=True)
        times = {key: moment.isoformat() for key, moment in zip(_TIMES, earlier, strict=True)}
        (folder / "run.json").write_text(
            json.dumps(record | times | {"run_id": run_id}), encoding="utf-8"
        )


_TIMES = ("started_at", "ended_at")


def measure(root: Path) -> float:
    """Return the seconds that the pages take."""
    from orchestrator.project import Project
    from orchestrator.records.record import read_records
    from orchestrator.site.overview import write_overview
    from orchestrator.site.run_page import write_run_page

    project, times = Project(root), []
    for _ in range(ROUNDS + 1):  # the first loads the templates
        latest, before, *_ = read_records(project)
        start = time.perf_counter()
        write_run_page(project, latest, before)
        write_overview(project)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
