"""What a run does, in order. `python orchestrator/flow.py` runs the pipeline."""

from __future__ import annotations

if __name__ == "__main__":  # before Prefect is imported: a wrong option is answered at once
    import os
    import runpy
    import sys
    from pathlib import Path

    # The project that this file lies in, whichever is installed.
    root = Path(__file__).resolve().parent.parent
    os.environ["CHURN_PROJECT"] = str(root)
    if not sys.flags.safe_path:
        del sys.path[0]  # this file's folder
    sys.path.insert(0, str(root))
    runpy.run_module("orchestrator", run_name="__main__")  # which ends this process

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from churn import process_environment  # noqa: F401  (Prefect reads its settings when it is imported)

# isort: split
from prefect import Flow, flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from orchestrator.errors import RunInProgressError
from orchestrator.flows.prefect_client import go_on_without_server
from orchestrator.flows.surroundings import announce, conclude, in_charge, telling_the_end
from orchestrator.flows.tasks import run_stage_when_due
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import DEFAULT_PARAMS, Plan, Request
from orchestrator.project import find_project
from orchestrator.runs.run import begin, under_way

SCHEDULED_PARAMS = "CHURN_SCHEDULED_PARAMS"  # names the params file that `churn serve` was given


def run_plan(plan: Plan) -> State[Any]:
    """Run the stages of a plan in order; each starts only when those that it reads from
    have completed or were reused.
    """
    with in_charge(plan) as followers:
        run, states = begin(plan, shlex.join(sys.argv)), dict[str, State[Any]]()
        with telling_the_end(run, followers), under_way(run):
            announce(run, followers)
            for stage in plan.stages:
                states[stage.name] = run_stage_when_due(run, stage, states, followers)
    return conclude(run, states)


def as_flow(plan: Plan, ended: Callable[[State[Any] | BaseException], None]) -> Flow[..., Any]:
    """Return the flow that runs a plan; its parameters are what was asked for. `ended` is told
    its state, or what ended it, before Prefect is.
    """
    name = "churn" if plan.pipeline.name == "training" else f"churn-{plan.pipeline.name}"

    @flow(name=name, persist_result=False, validate_parameters=False)
    def planned(**asked: Any) -> State[Any]:
        try:
            state = run_plan(plan)
        except BaseException as error:
            ended(error)
            raise
        ended(state)
        return state

    return planned


@flow(name="churn", persist_result=False)
def scheduled() -> State[Any]:
    """Plan and run the pipeline when it is due; skip that while another run goes on.

    It has no parameters: nothing of what a run does comes from Prefect's API, which others on
    this machine can reach.
    """
    params = Path(os.environ.get(SCHEDULED_PARAMS, DEFAULT_PARAMS))
    go_on_without_server()
    try:
        return run_plan(make_plan(find_project(), Request(params)))
    except RunInProgressError as error:
        get_run_logger().warning("Skipped: %s", error)
        return Completed(name="Skipped", message=str(error))
