"""Jobs side by side: in order, the same answers in any number of processes, and none left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from churn.modelling import evaluation, processes, splitting
from helpers.modelled import make_contest, make_examples
from helpers.projects import ROOT

forks = pytest.mark.skipif(not processes.CAN_FORK, reason="processes are forked on Linux only")


def square(number: int) -> tuple[int, int]:
    """Return the square of a number, and the process that has computed it."""
    time.sleep(0.05)
    return number**2, os.getpid()


@pytest.fixture(params=[1, 3])
def count(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """As many processors as the machine then has."""
    processors: int = request.param
    monkeypatch.setattr(processes.joblib, "cpu_count", lambda: processors)
    return processors


@forks
def test_answers_come_in_the_order_of_the_jobs(count: int) -> None:
    """From as many processes as there are processors; none is left."""
    answers = processes.run_all(square, [(number,) for number in range(9)], rows=0)
    assert [answer for answer, _ in answers] == [number**2 for number in range(9)]
    assert (os.getpid() in {process for _, process in answers}) == (count == 1)
    assert len({process for _, process in answers}) <= count
    assert multiprocessing.active_children() == []


def test_predictions_do_not_depend_on_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor do intervals and importances, to the last bit."""
    train, found = make_examples(), []
    plan = splitting.make_folds(train.churned, train.groups, folds=3, repeats=1, seed=1)
    for processors in (1, 2, 3):
        monkeypatch.setattr(processes.joblib, "cpu_count", lambda count=processors: count)
        predictions, settings = evaluation.cross_validate(make_contest(), train, plan, folds=3)
        probability = predictions.query("model == 'blend'").sort_values("row")["probability"]
        interval = evaluation.bootstrap(train, probability.to_numpy(), samples=60, seed=0)
        found.append(
            [table.to_json(double_precision=15) for table in (predictions, settings, interval)]
        )
    assert found[0] == found[1] == found[2]


@forks
def test_fork_computes_after_this_process_has_used_threads(count: int) -> None:
    """A model that has learned in several threads here learns in a fork, too."""
    train = make_examples()
    arguments = train.features[["tenure"]], train.churned
    HistGradientBoostingClassifier(max_iter=3).fit(*arguments)
    jobs = [(HistGradientBoostingClassifier(max_iter=3), *arguments)] * 3
    fitted = processes.run_all(HistGradientBoostingClassifier.fit, jobs, rows=0)
    assert [model.n_iter_ for model in fitted] == [3, 3, 3]


def fail(number: int) -> int:
    """Fail at the second job, after a while; the others take longer than a test may."""
    time.sleep(0.2 if number == 1 else 0)
    if number == 1:
        raise ValueError("the second job")
    return number


@forks
def test_failure_of_a_job_is_that_of_all(count: int) -> None:
    """Its own exception comes back, and nothing is left."""
    with pytest.raises(ValueError, match="the second job"):
        processes.run_all(fail, [(number,) for number in range(30)], rows=0)
    assert multiprocessing.active_children() == []


def kill_itself(_: int) -> None:
    """End as a process does whose memory is taken away."""
    os.kill(os.getpid(), signal.SIGKILL)


@forks
def test_killed_process_ends_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error, instead of waiting for it forever."""
    monkeypatch.setattr(processes.joblib, "cpu_count", lambda: 2)
    with pytest.raises(BrokenProcessPool):
        processes.run_all(kill_itself, [(1,), (2,)], rows=0)


SLEEP = """
import sys, time
from churn.modelling import processes
processes.joblib.cpu_count = lambda: 2
print("begun", flush=True)
processes.run_all(time.sleep, [(60,), (60,)], rows=0)
"""


@forks
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_the_one_that_forked_them(how: signal.Signals) -> None:
    """When that is killed, and when it is interrupted together with them."""
    with subprocess.Popen(
        [sys.executable, "-c", SLEEP],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    ) as program:
        parent, deadline = psutil.Process(program.pid), time.monotonic() + 60
        while len(parent.children()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        children = parent.children()
        os.kill(program.pid, how) if how == signal.SIGKILL else os.killpg(program.pid, how)
        program.wait(30)
        _, alive = psutil.wait_procs(children, timeout=30)
    assert len(children) == 2
    assert alive == []
    assert Path("/proc").is_dir()
