"""The commands that use a model: score customers, serve it, and compare scores with
what happened.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import typer

from orchestrator.cli.app import app, parse_settings, read_day, recover_killed
from orchestrator.cli.flow_calls import ensure_prefect, execute, tell_reports
from orchestrator.cli.options import (
    AsOfOption,
    ContactOption,
    ForceOption,
    JsonOption,
    ModelOption,
    NoRefreshOption,
    OutcomeOption,
    OutOption,
    ParamsOption,
    PortOption,
    QuietOption,
    ReplaceOption,
    ScoringRunArgument,
    SettingsOption,
    SourcesOption,
    TableOption,
    VerboseOption,
)
from orchestrator.engine.programs import run_program
from orchestrator.models import model_in_use as scoring
from orchestrator.models.registries import find_registry
from orchestrator.plan.decisions import make_plan
from orchestrator.plan.run_plan import DEFAULT_PARAMS, EVERY_STAGE, Plan, Request
from orchestrator.project import Project, find_project
from orchestrator.records.lock import ensure_free, hold_checkout
from orchestrator.site.outcome import say_scores

_PANEL = "Use a model"


@app.command(rich_help_panel=_PANEL)
def score(
    out: OutOption,
    model: ModelOption = "@champion",
    params: SourcesOption = DEFAULT_PARAMS,
    as_of: AsOfOption = None,
    contact: ContactOption = None,
    table: TableOption = "scores",
    replace: ReplaceOption = False,
    settings: SettingsOption = [],  # noqa: B006  (typer reads the default)
    force: ForceOption = False,
    no_refresh: NoRefreshOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Score today's customers with a registered model: probability, rank, reasons, and
    whether to contact.

    The stages up to the features run as in training, on data/scoring/; then
    07_scoring.ipynb. The data needs no answer. A password in a database's address is
    written ${NAME}, an environment variable: postgresql://crm:${PASSWORD}@host/db.

    Exit code: 0 done, 1 a stage failed or a gate stopped the run, 2 wrong usage, 130 interrupted.
    """
    project = find_project()
    ensure_free(project)
    target = scoring.find_target(project, out, Path.cwd())
    given = {"out": target.out, "table": table, "replace_table": replace, "contact": contact}
    chosen = _choose(settings, given, as_of)
    fetched = _fetch(project, params, model)
    chosen["scoring"] |= {"model": fetched.model, "model_sha256": fetched.sha256}
    request = Request(
        params=params,
        settings=chosen,
        # What a database holds by now nobody knows, so it is written to again.
        force=(EVERY_STAGE,) if force else ("scoring",) if target.is_database else (),
        refresh=not no_refresh,
        pipeline="scoring",
    )
    plan = make_plan(project, request)  # what is wrong is told before Prefect is loaded
    _execute(plan, fetched, quiet=quiet, verbose=verbose)


def _choose(
    settings: list[str], given: dict[str, Any], as_of: str | None
) -> dict[str, dict[str, Any]]:
    """Return the parameters of stages that the options give."""
    chosen = parse_settings(settings)
    chosen["scoring"] = {**chosen.get("scoring", {}), **given}
    if as_of:
        chosen.setdefault("transformation", {})["scoring_day"] = read_day(as_of).isoformat()
    return chosen


def _execute(plan: Plan, fetched: scoring.Fetched, *, quiet: bool, verbose: bool) -> None:
    trained_in = f", from run {fetched.run_id}" if fetched.run_id else ""
    typer.echo(f"Model {fetched.model} of {fetched.data_set!r}{trained_in}")
    ensure_prefect()
    record = execute(plan, quiet=quiet, verbose=verbose)
    for line in say_scores(record):
        typer.echo(line)
    tell_reports(plan, record)


def _fetch(project: Project, params: Path, model: str) -> scoring.Fetched:
    """Fetch the model, and refuse data that nobody named and that is not the model's."""
    registry = find_registry(project, Request(params).params_file(project))
    with hold_checkout(project):
        recover_killed(project)
        fetched = scoring.fetch_model(project, registry, model)
    scoring.refuse_other_data(fetched, registry)
    return fetched


@app.command("serve-model", rich_help_panel=_PANEL)
def serve_model(
    model: ModelOption = "@champion",
    port: PortOption = 5001,
    params: ParamsOption = DEFAULT_PARAMS,
) -> None:
    """Serve a registered model over HTTP on this machine, with MLflow's own scoring
    server, until stopped.

    Its file is verified first. POST features to /invocations, as {"dataframe_records":
    [{…}, …]}: the answer has the probabilities to stay and to leave of each. GET /ping
    answers when it is ready.
    """
    from orchestrator.engine.leftovers import guard_this_process

    guard_this_process()
    project = find_project()
    registry = find_registry(project, Request(params).params_file(project))
    with tempfile.TemporaryDirectory(prefix="churn-") as folder:
        served = Path(folder, "model")
        with hold_checkout(project):
            fetched = scoring.fetch_model(project, registry, model, served)
        typer.echo(f"Model {fetched.model} of {fetched.data_set!r}, verified.")
        words = (str(port), str(served))
        with contextlib.suppress(KeyboardInterrupt):
            ended = run_program(
                project, "orchestrator.flows.own_scoring", words, stdout=None, stderr=None
            )
            sys.exit(ended.returncode)


@app.command(rich_help_panel=_PANEL)
def evaluate(
    run_id: ScoringRunArgument = "latest-scoring",
    params: OutcomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the scores of a run with what happened since, and with the runs of its data set
    that were evaluated before. With --params, latest-scoring is that of its data set.

    What happened is read from the prepared data of training as it lies: run the
    pipeline on today's data first. With an end date: who ended within the horizon after
    the day of the scores. Else the answer in its column.

    Exit code: 0 done, 1 it cannot be told yet, 2 wrong usage.
    """
    from orchestrator.history import outcomes

    project = find_project()
    record = outcomes.find_scores(project, run_id, params)
    one = outcomes.evaluate(project, record, params or project.root / record.params_file)
    every = outcomes.list_evaluated(project, record.data_set)
    page = outcomes.write_evaluation(project, one, every)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "run_id": one.run_id,
                    "data_set": one.data_set,
                    "as_of": one.as_of,
                    "model": one.model,
                    **one.measured,
                },
                indent=1,
            )
        )
        return
    for line in outcomes.tell(one, every):
        typer.echo(line)
    typer.echo(f"Page: {page}")
