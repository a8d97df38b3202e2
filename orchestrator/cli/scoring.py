"""The commands that use a model: score customers, serve it, and compare scores with what happened."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator import scoring
from orchestrator.cli.app import (
    DEFAULT_PARAMS,
    ParamsOption,
    SettingsOption,
    app,
    parse_settings,
    read_day,
    recover_killed,
)
from orchestrator.cli.executing import ensure_prefect, execute, tell_reports
from orchestrator.decisions import make_demand, predict
from orchestrator.errors import UsageError
from orchestrator.lock import ensure_free, hold_checkout
from orchestrator.paths import PROJECT
from orchestrator.preflight import make_plan
from orchestrator.record import read_record
from orchestrator.site.outcome import say_scores
from orchestrator.stages import make_scoring

_PANEL = "Use a model"
ModelOption = Annotated[
    str, typer.Option("--model", metavar="MODEL", help="@champion, a version, or models:/NAME/VERSION.")
]


@app.command(rich_help_panel=_PANEL)
def score(
    out: Annotated[
        str,
        typer.Option("--out", metavar="FILE", help="A file that ends in .csv or .parquet, or a database's address."),
    ],
    model: ModelOption = "@champion",
    params: Annotated[
        Path, typer.Option("--params", "--sources", metavar="FILE", help="The facts of the data, with its sources.")
    ] = DEFAULT_PARAMS,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="The day of the snapshot; by default the last that is known."),
    ] = None,
    contact: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Contact the N most likely; by default as the model's threshold says."),
    ] = None,
    table: Annotated[str, typer.Option(metavar="NAME", help="The table, where --out is a database.")] = "scores",
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove the scores of earlier runs from that table.")
    ] = False,
    settings: SettingsOption = [],  # noqa: B006  (typer reads the default)
    force: Annotated[bool, typer.Option("--force", help="Run every stage, also where nothing has changed.")] = False,
    no_refresh: Annotated[
        bool, typer.Option("--no-refresh", help="Do not read databases, APIs and files elsewhere again.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Tell only warnings, and how the run ended.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell every line, on a terminal too.")] = False,
) -> None:
    """Score today's customers with a registered model: probability, rank, reasons, and whether to contact.

    The stages up to the features run as in training, on data/scoring/; then 07_scoring.ipynb. The data needs no answer.
    A password in a database's address is written ${NAME}, an environment variable: postgresql://crm:${PASSWORD}@host/db.

    Exit code: 0 done, 1 a stage failed or a gate stopped the run, 2 wrong usage, 130 interrupted.
    """
    ensure_free(PROJECT)
    target = scoring.find_target(PROJECT, out, Path.cwd())
    given: dict[str, Any] = {"out": target.out, "table": table, "replace_table": replace, "contact": contact}
    chosen = parse_settings(settings)
    chosen["scoring"] = {**chosen.get("scoring", {}), **given}
    if as_of:
        chosen.setdefault("transformation", {})["scoring_day"] = read_day(as_of).isoformat()
    with hold_checkout(PROJECT):
        recover_killed()
        fetched = scoring.fetch_model(PROJECT, params, model)
    if params == DEFAULT_PARAMS:
        scoring.refuse_other_data(fetched, params)
    chosen["scoring"] |= {"model": fetched.model, "model_sha256": fetched.sha256}
    pipeline = make_scoring(target.out, to_database=target.is_database)
    plan = make_plan(PROJECT, params, chosen, pipeline=pipeline)  # what is wrong is told before Prefect is loaded
    typer.echo(f"Model {fetched.model}{f', from run {fetched.run_id}' if fetched.run_id else ''}")
    # What a database holds by now nobody knows, so it is written to again.
    forced = ["all"] if force else ["scoring"] if target.is_database else []
    decisions = predict(plan, make_demand(forced, None, None, refresh=not no_refresh))
    arguments = (str(params), chosen, target.out, target.is_database, False, forced, not no_refresh)
    ensure_prefect()
    record = execute(plan, decisions, arguments, quiet=quiet, verbose=verbose)
    for line in say_scores(record):
        typer.echo(line)
    tell_reports(record)


@app.command("serve-model", rich_help_panel=_PANEL)
def serve_model(
    model: ModelOption = "@champion",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5001,
    params: ParamsOption = DEFAULT_PARAMS,
) -> None:
    """Serve a registered model over HTTP on this machine, with MLflow's own scoring server, until stopped.

    Its file is verified first. POST features to /invocations, as {"dataframe_records": [{…}, …]}: the answer has the
    probabilities to stay and to leave of each. GET /ping answers when it is ready.
    """
    from orchestrator.leftovers import guard_this_process

    guard_this_process()
    with hold_checkout(PROJECT):
        fetched = scoring.fetch_model(PROJECT, params, model)
    typer.echo(f"Model {fetched.model}, verified. http://127.0.0.1:{port}/invocations; Ctrl-C stops it.")
    sys.exit(scoring.serve(PROJECT, params, fetched, port))


@app.command(rich_help_panel=_PANEL)
def evaluate(
    run_id: Annotated[str, typer.Argument(help="The id of a scoring run, or `latest-scoring`.")] = "latest-scoring",
    params: Annotated[
        Path | None,
        typer.Option("--params", "--sources", metavar="FILE", help="The data that shows what happened, and its label."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """Compare the scores of a run with what happened since, and with the runs that were evaluated before.

    What happened is read from the prepared data of training as it lies: run the pipeline on today's data first.
    With an end date: who ended within the horizon after the day of the scores. Else the answer in its column.

    Exit code: 0 done, 1 it cannot be told yet, 2 wrong usage.
    """
    record = read_record(PROJECT, run_id)
    if record.pipeline != "scoring":
        raise UsageError(f"Run {record.run_id} trained a model: name a run that scored customers, or latest-scoring.")
    from orchestrator import evaluation

    one = evaluation.evaluate(PROJECT, record, params or PROJECT.root / record.params_file)
    every = evaluation.list_evaluated(PROJECT)
    page = evaluation.write_evaluation(PROJECT, one, every)
    if as_json:
        typer.echo(json.dumps({"run_id": one.run_id, "as_of": one.as_of, "model": one.model, **one.measured}, indent=1))
        return
    for line in evaluation.tell(one, every):
        typer.echo(line)
    typer.echo(f"Page: {page}")
