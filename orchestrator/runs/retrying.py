"""Whether a stage that failed is tried once more, and why."""

from __future__ import annotations

import builtins
import errno
from dataclasses import dataclass

from churn.params import RetryPolicy
from orchestrator.engine.execution import Execution
from orchestrator.stages import Stage

# Errors that a notebook raises and that another try cannot mend: a gate, wrong parameters, a
# source that said no.
_FINAL = {"GateError", "ParameterError", "BaselineError", "SourceRefused", "InputChanged"}
# Errors of the machine, by the names of their classes, which is all that a kernel tells: it died,
# or had no memory, a database or a lock file was in use.
_OF_THE_MACHINE = {
    "DeadKernelError",
    "KernelNotStarted",
    "WriteError",
    "ArrowMemoryError",
    "_ArrayMemoryError",
    "OutOfMemoryException",
    "TerminatedWorkerError",
    "BrokenProcessPool",
    "LockError",
    "Timeout",
}
# Errors of the operating system that are mistakes of the code, and come again.
_OF_PATHS = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
_IN_USE = ("is locked", "database is busy")


@dataclass(frozen=True)
class Retry:
    """Whether a failed stage is tried again, and the reason, for the log."""

    again: bool
    reason: str


def decide_retry(execution: Execution, stage: Stage, policy: RetryPolicy) -> Retry:
    """Decide by what failed, where, and what the params file says (`retry`).

    A stage that reads only datasets is a function of them: an ordinary error of its code comes
    again, and another try would only cost its time.
    """
    name = execution.error_name
    if execution.status != "failed":
        return Retry(False, f"it is {execution.status.replace('_', ' ')}")
    if name in _FINAL:
        return Retry(False, f"another try does not mend {name}")
    if f"[Errno {errno.ENOSPC}]" in execution.error:
        return Retry(False, "the disk is full")
    if policy == "never":
        return Retry(False, "`retry: never`")
    if policy == "once":
        return Retry(True, "`retry: once`")
    if stage.reaches_outside:
        return Retry(True, "it reads or writes outside of the project, where a failure may pass")
    if _is_of_the_machine(name) or any(words in execution.error for words in _IN_USE):
        return Retry(True, f"{name} is of the machine, and may pass")
    return Retry(False, f"{name} would come again: the stage reads only datasets")


def _is_of_the_machine(name: str) -> bool:
    kind = getattr(builtins, name, None)
    if not isinstance(kind, type):
        return name in _OF_THE_MACHINE
    return issubclass(kind, (OSError, MemoryError)) and not issubclass(kind, _OF_PATHS)
