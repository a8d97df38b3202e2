"""Which failures of a stage are tried once more."""

from __future__ import annotations

from dataclasses import replace

import nbformat
import pytest

from churn.params import RetryPolicy
from helpers.own_graph import GRAPH, SCORING
from orchestrator.engine.execution import Execution
from orchestrator.records.record import StageStatus
from orchestrator.runs.retrying import decide_retry


def ended(name: str, text: str = "", status: StageStatus = "failed") -> Execution:
    """An execution that ended with an error of this class."""
    execution = Execution(nbformat.v4.new_notebook())
    execution.fail(status, name, f"{name}: {text}")
    return execution


@pytest.mark.parametrize("name", ["KeyError", "TypeError", "FileNotFoundError", "SchemaError"])
@pytest.mark.parametrize("stage", ["validation", "preparation", "transformation", "model_building"])
def test_an_ordinary_error_is_retried_only_where_a_stage_reaches_outside(
    stage: str, name: str
) -> None:
    """A stage that reads only datasets is a function of them."""
    assert not decide_retry(ended(name), GRAPH.find_stage(stage), "outside").again
    assert decide_retry(ended(name), GRAPH.find_stage("ingestion"), "outside").again
    assert decide_retry(ended(name), GRAPH.find_stage("versioning"), "outside").again


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DeadKernelError", ""),
        ("KernelNotStarted", ""),
        ("MemoryError", ""),
        ("_ArrayMemoryError", "Unable to allocate 8 GiB"),
        ("ConnectionResetError", "[Errno 104]"),
        ("PermissionError", "[Errno 13]"),
        ("OperationalError", "(sqlite3.OperationalError) database is locked"),
        ("LockError", "Unable to acquire lock"),
    ],
)
def test_errors_of_the_machine_are_retried_everywhere(name: str, text: str) -> None:
    """A dead kernel, memory, the operating system and locks may be well a moment later."""
    assert decide_retry(ended(name, text), GRAPH.find_stage("preparation"), "outside").again


@pytest.mark.parametrize("policy", ["outside", "once"])
def test_what_no_try_mends_is_never_retried(policy: RetryPolicy) -> None:
    """Gates, refusals, a full disk, and what took too long."""
    stage = GRAPH.find_stage("ingestion")
    assert not decide_retry(ended("GateError"), stage, policy).again
    assert not decide_retry(ended("SourceRefused"), stage, policy).again
    assert not decide_retry(ended("OSError", "[Errno 28] No space left"), stage, policy).again
    assert not decide_retry(ended("CellTimeoutError", status="timed_out"), stage, policy).again


def test_the_params_file_decides() -> None:
    """`once` retries an ordinary error anywhere, `never` nothing."""
    assert decide_retry(ended("KeyError"), GRAPH.find_stage("preparation"), "once").again
    assert not decide_retry(ended("DeadKernelError"), GRAPH.find_stage("ingestion"), "never").again


def test_scoring_into_a_database_reaches_outside() -> None:
    """Into a file it does not."""
    into_database = replace(SCORING.find("scoring"), needs_secrets=True)
    assert decide_retry(ended("OperationalError"), into_database, "outside").again
    assert not decide_retry(ended("OperationalError"), SCORING.find("scoring"), "outside").again
