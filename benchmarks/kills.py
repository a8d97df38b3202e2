"""Kills runs at random moments, runs again, and checks that nothing is lost, broken or untrue.

    python benchmarks/kills.py [--kills 50] [--seed N] [--sample] [--keep FOLDER]

Each kill: the data becomes other data, so that every stage runs; the run is started, a random
part of it is sent a random signal at a random moment, and when all is over the run is started
once more. What is checked then, `kill_checks.py` says. With these parts the run ends:

    flow            the command itself
    group           its process group, as Ctrl-C in a terminal does
    flow and guard  also the process that ends what a run leaves behind
    all             every process of the run, as the end of a container or service does

Without these it goes on, or ends by itself: a kernel, the fork server, Prefect's temporary
server. Every tenth kill meets a new project, without data, outputs and databases.

The notebooks are small ones, which write as the real ones do (`kill_stages.py`); with `--sample`
they are the real ones, on 1,000 customers. Exit code 1 when any check failed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path

import psutil
from copies import project_copy
from kill_checks import check_after_kill, check_after_rerun, take_state
from kill_stages import write_stages

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ENDING = ("flow", "group", "flow and guard", "all")
SPARED = ("kernel", "fork server", "server")
KILLS_A_PROJECT = 10
SECONDS_TO_END = 10  # by then no process of a killed run may be left
SECONDS_TO_GO_ON = 300  # in which a run that lost only a part of it has to end
_COMMAND = [sys.executable, "orchestrator/flow.py", "--verbose"]
_SMALL = """
stages:
  transformation: {min_customers: 300, min_churned: 20}
  model_building:
    {min_customers: 200, min_customers_a_class: 15, leakage_auc: 0.99, require_signal: false,
     cv_folds: 2, cv_repeats: 1, bootstrap_samples: 20}
"""


@dataclass
class Kill:
    """One kill and what came of it; `seconds` from the kill to the end of the last process."""

    target: str
    signal: signal.Signals
    moment: float
    code: int | None = None
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the line that is printed of it."""
        return (
            f"{self.target} {self.signal.name} at {self.moment:.1f} s: "
            f"exit code {self.code}, over after {self.seconds:.1f} s"
        )


@dataclass(frozen=True)
class Copy:
    """A copy of the project, the environment of its processes, and the mark of them in it."""

    root: Path
    variables: dict[str, str]
    mark: str

    @property
    def log(self) -> Path:
        """What the last run printed."""
        return self.root.parent / "log"

    def start(self) -> psutil.Popen:
        """Start a run, in a session of its own."""
        with self.log.open("wb") as log:
            return psutil.Popen(
                _COMMAND,
                cwd=self.root,
                env=self.variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def processes(self) -> list[psutil.Process]:
        """Return the processes that come of a run and live."""
        return [one for one in psutil.process_iter() if self._is_of_run(one)]

    def end_all(self) -> None:
        """End what is left of runs."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _is_of_run(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error, OSError):
            is_here = self.mark in process.environ() or Path(process.cwd()).is_relative_to(
                self.root
            )
            return is_here and process.status() != psutil.STATUS_ZOMBIE
        return False


def main() -> None:
    """Kill, check and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, help="of targets, signals and moments")
    parser.add_argument("--sample", action="store_true", help="the real notebooks")
    parser.add_argument("--keep", type=Path, help="keep copies of projects with faults here")
    options = parser.parse_args()
    # Ended itself, it ends the run that goes on. And a run must not inherit that Ctrl-C is
    # ignored, as it is in what a shell starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = random.SystemRandom().randrange(10_000) if options.seed is None else options.seed
    print(f"--seed {seed}", file=sys.stderr)
    kills = run_campaign(options.kills, random.Random(seed), options.sample, options.keep)
    print_table(kills)
    sys.exit(1 if any(one.faults for one in kills) else 0)


def run_campaign(count: int, chance: random.Random, sample: bool, keep: Path | None) -> list[Kill]:
    """Kill so many runs, and return what came of each."""
    with new_copy(sample) as copy:
        typical = run_undisturbed(copy)
    kills: list[Kill] = []
    plan = _draw(count, chance)
    while plan:
        with new_copy(sample) as copy:
            for target, number in [plan.pop() for _ in range(min(KILLS_A_PROJECT, len(plan)))]:
                edit_data(copy.root, 1000 + len(kills))
                kill = kill_once(copy, target, number, typical, chance)
                kills.append(kill)
                _tell(len(kills), kill, copy, keep)
    return kills


def _draw(count: int, chance: random.Random) -> list[tuple[str, signal.Signals]]:
    """Draw targets and signals, each pair about equally often."""
    pairs = list(product(ENDING + SPARED, SIGNALS))
    return [
        one for _ in range(-(-count // len(pairs))) for one in chance.sample(pairs, len(pairs))
    ][:count]


@contextlib.contextmanager
def new_copy(sample: bool) -> Iterator[Copy]:
    """Yield an empty copy of the project with small notebooks, or a small sample company."""
    with project_copy() as (root, variables):
        if sample:
            make_small(root / "params.yaml")
        else:
            write_stages(root)
        temporary, mark = root.parent / "tmp", f"CHURN_KILLS_{root.parent.name}"
        temporary.mkdir()
        copy = Copy(root, variables | {"TMPDIR": str(temporary), mark: "1"}, mark)
        try:
            yield copy
        finally:
            copy.end_all()


def make_small(params: Path) -> None:
    """Let the sample company have few customers, and model building do little."""
    text = params.read_text(encoding="utf-8").partition("\nstages:")[0]
    text, count = re.subn(r"(?m)^  customers: \d+$", "  customers: 1000", text)
    assert count == 1, "params.yaml has not one number of customers"
    params.write_text(text + _SMALL, encoding="utf-8")


def edit_data(root: Path, seed: int) -> None:
    """Let the data be other data."""
    params = root / "params.yaml"
    text = params.read_text(encoding="utf-8")
    text, count = re.subn(r"(?m)^( +)seed: \d+$", rf"\g<1>seed: {seed}", text)
    assert count, "params.yaml has no seed of the data"
    params.write_text(text, encoding="utf-8")


def run_undisturbed(copy: Copy) -> float:
    """Run twice, for the second time with other data; return how many seconds that took."""
    for seed in (1, 2):
        edit_data(copy.root, seed)
        start = time.monotonic()
        if copy.start().wait():
            raise SystemExit(f"The run fails without a kill:\n{_tail(copy.log)}")
    return time.monotonic() - start


def kill_once(
    copy: Copy, target: str, number: signal.Signals, typical: float, chance: random.Random
) -> Kill:
    """Start a run, kill a part of it, run again, and check; begin anew where it was too late."""
    before, kill = take_state(copy.root), Kill(target, number, chance.uniform(0, typical))
    run = copy.start()
    killed = _kill_at(copy, run, kill, chance)
    if not killed:
        run.wait()
        edit_data(copy.root, chance.randrange(10_000, 1_000_000))
        return kill_once(copy, target, number, 0.7 * typical, chance)
    killed_at = datetime.now(UTC)
    _await_end(copy, run, kill, killed)
    kill.faults += check_after_kill(copy.root, before, kill.code, killed_at)
    between = take_state(copy.root)
    kill.faults += _rerun(copy)
    prefect = Path(copy.variables["PREFECT_HOME"])
    kill.faults += check_after_rerun(copy.root, before, between, prefect)
    return kill


def _kill_at(copy: Copy, run: psutil.Popen, kill: Kill, chance: random.Random) -> float | None:
    """Send the signal at its moment, or as soon as there is such a process; return when.

    Nothing is returned when the run was over before.
    """
    started = time.monotonic()
    time.sleep(kill.moment)
    while run.poll() is None:
        chosen = _find(copy, run, kill.target, chance)
        for process in chosen:
            send = (
                partial(os.killpg, process.pid) if kill.target == "group" else process.send_signal
            )
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                send(kill.signal)
        if chosen:
            kill.moment = time.monotonic() - started
            return time.monotonic()
        time.sleep(0.02)
    return None


def _find(
    copy: Copy, run: psutil.Popen, target: str, chance: random.Random
) -> list[psutil.Process]:
    """Return the processes of a run that are the target; none while there are none."""
    if target in ("flow", "group"):
        return [psutil.Process(run.pid)]
    processes = copy.processes()
    if target == "all":
        return processes
    roles = {process: _role(process, run.pid) for process in processes}
    wanted = {"flow", "guard"} if target == "flow and guard" else {target}
    found = [process for process, role in roles.items() if role in wanted]
    if target == "kernel":
        return found and [chance.choice(found)]
    return found if wanted <= {roles[process] for process in found} else []


def _role(process: psutil.Process, run: int) -> str:
    with contextlib.suppress(psutil.Error):
        words = " ".join(process.cmdline())
        is_child = process.ppid() == run
        if "forkserver.py" in words:
            return "fork server" if is_child else "kernel"
        names = {"ipykernel_launcher": "kernel", "own_server": "server", "leftovers": "guard"}
        for word, role in names.items():
            if word in words:
                return role
        return "flow" if process.pid == run else "other"
    return "gone"


def _await_end(copy: Copy, run: psutil.Popen, kill: Kill, killed: float) -> None:
    """Wait until no process of the run is left; what is left too long is a fault, and is ended."""
    ends_run = kill.target in ENDING
    with contextlib.suppress(psutil.TimeoutExpired):
        kill.code = run.wait(SECONDS_TO_END if ends_run else SECONDS_TO_GO_ON)
    deadline = (killed if ends_run else time.monotonic()) + SECONDS_TO_END
    while (left := copy.processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    kill.seconds = time.monotonic() - killed
    for process in left:
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())[-100:]
            kill.faults.append(f"left after {SECONDS_TO_END} s: {process.pid} {words}")
            process.kill()
    psutil.wait_procs(left, timeout=5)


def _rerun(copy: Copy) -> Iterator[str]:
    """Yield what is wrong when the run is started once more."""
    shutil.copy(copy.log, copy.log.with_name("log of the killed run"))
    run = copy.start()
    try:
        code = run.wait(SECONDS_TO_GO_ON)
    except psutil.TimeoutExpired:
        run.kill()
        code = f"none after {SECONDS_TO_GO_ON} s"
    if code != 0:
        yield f"the next run ended with exit code {code}:\n{_tail(copy.log)}"
    for line in sorted({one for one in _tail(copy.log).splitlines() if "Traceback" in one}):
        yield f"the next run shows a traceback: {line}"
    left, deadline = copy.processes(), time.monotonic() + SECONDS_TO_END
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = copy.processes()
    yield from (f"left by the next run: {process}" for process in left)
    yield from (f"left in TMPDIR: {one.name}" for one in Path(copy.variables["TMPDIR"]).iterdir())


def _tail(log: Path, lines: int = 25) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _tell(number: int, kill: Kill, copy: Copy, keep: Path | None) -> None:
    print(f"{number:4} {kill}", *(f"FAULT: {one}" for one in kill.faults), sep="\n     ",
          file=sys.stderr, flush=True)  # fmt: skip
    if kill.faults:
        log = _tail(copy.log.with_name("log of the killed run"))
        print(f"     The killed run:\n{log}", file=sys.stderr, flush=True)
        if keep:
            shutil.copytree(copy.root.parent, keep / f"kill-{number}", symlinks=True)


def print_table(kills: list[Kill]) -> None:
    """Print a line for each target and signal: kills, those with faults, how they ended."""
    print(
        f"{'target':16}{'signal':10}{'kills':>6}{'faults':>8}{'exit 0':>8}{'median s to end':>17}"
    )
    for target, number in product(ENDING + SPARED, SIGNALS):
        if found := [one for one in kills if (one.target, one.signal) == (target, number)]:
            faulty, good = (
                sum(bool(one.faults) for one in found),
                sum(not one.code for one in found),
            )
            median = statistics.median(one.seconds for one in found)
            print(f"{target:16}{number.name:10}{len(found):6}{faulty:8}{good:8}{median:17.1f}")
    print(f"{'all together':26}{len(kills):6}{sum(bool(one.faults) for one in kills):8}")


if __name__ == "__main__":
    main()
