"""The kinds of failure that a user is told of in one message, without the
orchestrator's own traceback.
"""

from __future__ import annotations


class ChurnError(Exception):
    """Base of all expected errors. `exit_code` is what the command ends with."""

    exit_code = 1


class UsageError(ChurnError):
    """The command, `params.yaml` or the project is not fit to start a run."""

    exit_code = 2


class RunInProgressError(ChurnError):
    """Another run holds this checkout."""

    exit_code = 2


class StageFailedError(ChurnError):
    """A stage ended without completing; `try_again` tells whether it is tried once more, and
    `why`, in words.
    """

    def __init__(self, message: str, *, try_again: bool, why: str) -> None:
        super().__init__(message)
        self.try_again, self.why = try_again, why


class RestoreError(ChurnError):
    """A dataset cannot be brought back as it was recorded."""
