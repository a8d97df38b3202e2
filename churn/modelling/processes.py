"""Jobs side by side on all processors: in processes that are forked from this one, with all that
it has loaded, where the platform can fork; in fresh ones, where there is much to do, elsewhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any

import joblib  # type: ignore[import-untyped]
from joblib.externals import loky  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

# macOS can fork, too, but its frameworks do not survive it.
CAN_FORK = sys.platform == "linux"
_MOST_PROCESSES = 8  # each needs memory of its own for what it fits
# Rows to fit, of all jobs together: to start fresh processes takes two seconds.
_WORTH_STARTING = 40_000
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, of Linux' prctl

Jobs = tuple[Callable[..., Any], Sequence[tuple[Any, ...]]]
_inherited: list[Jobs] = []  # by the processes that are forked while it stands here
_is_worker = False


def run_all(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], *, rows: int
) -> list[Any]:
    """Return the function's answer to each job, in order; `rows` are those that all jobs
    together deal with.

    Each job computes in one thread: threads wait for each other more than they work. No
    process is left behind, and how many there are changes nothing in the answers.

    Raises:
        BrokenExecutor: a process was killed, for want of memory most often.
    """
    with running(function, jobs, rows=rows) as answers:
        return answers()


@contextlib.contextmanager
def running(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], *, rows: int
) -> Iterator[Callable[[], list[Any]]]:
    """Start jobs as `run_all` does, and yield what waits for their answers: meanwhile this
    process does something else. Where there are no processes, they run when they are asked for.
    """
    processes = min(joblib.cpu_count(), _MOST_PROCESSES, len(jobs))
    if processes < 2 or _is_worker or not (CAN_FORK or rows >= _WORTH_STARTING):
        yield lambda: _run_here(function, jobs)
        return
    if not CAN_FORK:
        with (
            loky.ProcessPoolExecutor(processes) as pool,
            _started(pool, _do, [(function, job) for job in jobs]) as answers,
        ):
            yield answers
        return
    _inherited.append((function, jobs))
    try:
        forked = multiprocessing.get_context("fork")
        places = [(place,) for place in range(len(jobs))]
        with (
            ProcessPoolExecutor(processes, forked, _begin) as pool,
            _started(pool, _do_inherited, places) as answers,
        ):
            yield answers
    finally:
        _inherited.pop()


def _run_here(function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]) -> list[Any]:
    with threadpool_limits(1):
        return [function(*job) for job in jobs]


@contextlib.contextmanager
def _started(
    pool: Executor, function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]
) -> Iterator[Callable[[], list[Any]]]:
    # Python 3.12 and later warn that other threads do not live on in a fork. No job needs
    # them, nor a lock that they may hold: it computes, and answers through a pipe.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* multi-threaded, use of fork", DeprecationWarning)
        futures = [pool.submit(function, *job) for job in jobs]
    try:
        yield lambda: [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()  # what has not begun, after a failure or an interrupt


def _begin() -> None:
    """Make this process one that ends with its parent, and at once when interrupted."""
    global _is_worker
    _is_worker = True
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _do_inherited(place: int) -> Any:
    function, jobs = _inherited[-1]
    return _do(function, jobs[place])


def _do(function: Callable[..., Any], job: tuple[Any, ...]) -> Any:
    with threadpool_limits(1):
        return function(*job)
