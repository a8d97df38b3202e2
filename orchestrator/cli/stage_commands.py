"""The commands that show which stages there are, and that add one."""

from __future__ import annotations

from typing import Annotated

import nbformat
import typer

from orchestrator.atomic_files import write_atomically
from orchestrator.cli.app import app, complain
from orchestrator.errors import UsageError
from orchestrator.notebook.new_stage import make_notebook, number_after
from orchestrator.notebook.stage_graph import read_graph
from orchestrator.project import find_project
from orchestrator.stages import Pipeline

_PANEL = "Stages"
_PREFIX = "data/"


@app.command(rich_help_panel=_PANEL)
def graph(
    draw: Annotated[bool, typer.Option("--draw", help="Write outputs/graph.html, too.")] = False,
) -> None:
    """Show the stages as the notebooks make them: what each reads and writes, in the order in
    which they run.

    Exit code: 0 done, 2 the notebooks make no graph.
    """
    project = find_project()
    found = read_graph(project)
    for pipeline in (found.training, found.scoring):
        typer.echo("\n".join([f"{pipeline.name}:", *_describe(pipeline), ""]))
    for note in found.notes:
        complain(f"Note: {note}.")
    for problem in found.problems:
        complain(f"Problem: {problem}.")
    if draw:
        from orchestrator.site.rendering import render, write_page
        from orchestrator.site.stage_picture import draw_graph

        page = project.outputs / "graph.html"
        pictures = {one.name: draw_graph(one.stages) for one in (found.training, found.scoring)}
        page.parent.mkdir(exist_ok=True)
        write_page(page, render("graph.html.j2", pictures=pictures))
        typer.echo(f"Page: {page}")
    if found.problems:
        raise typer.Exit(UsageError.exit_code)


def _describe(pipeline: Pipeline) -> list[str]:
    rows = [
        (
            stage.notebook,
            "the sources" if stage.reads_sources else _join(stage.reads),
            _join(stage.writes),
        )
        for stage in pipeline.stages
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)] if rows else []
    return [
        f"  {notebook:<{widths[0]}}  {read:<{widths[1]}}  -> {written or 'nothing that is kept'}"
        for notebook, read, written in rows
    ]


def _join(paths: tuple[str, ...]) -> str:
    return ", ".join(path.removeprefix(_PREFIX) for path in paths)


@app.command("new-stage", rich_help_panel=_PANEL)
def new_stage(
    name: Annotated[str, typer.Argument(help="Small letters, digits and underscores.")],
    reads: Annotated[
        list[str], typer.Option("--reads", metavar="DATASET", help="May be given several times.")
    ],
    writes: Annotated[str, typer.Option("--writes", metavar="DATASET", help="A new one.")] = "",
) -> None:
    """Add a stage: a notebook that reads datasets and writes one, to be filled in JupyterLab.

    That it lies in notebooks/ is all it takes: a run executes it behind those that write what it
    reads, versions what it writes, and keeps its report.

    Exit code: 0 done, 2 there is such a stage, or no such dataset.
    """
    project = find_project()
    before = read_graph(project)
    if name in before.stage_names:
        raise UsageError(f"There is a stage {name!r} already: {before.find_stage(name).notebook}.")
    number = number_after(before, reads)
    file = project.notebooks / f"{number}_{name}.ipynb"
    content = nbformat.writes(make_notebook(number, name, reads, writes)) + "\n"
    write_atomically(file, content.encode())
    after = read_graph(project)
    if name not in after.stage_names or after.problems:
        file.unlink()
        told = "; ".join(after.problems) or f"{name!r} cannot be the name of a stage"
        raise UsageError(f"No stage was made: {told}.")
    place = after.training.stage_names.index(name)
    typer.echo(
        f"Written: {file}. It runs after {after.training.stage_names[place - 1]}. "
        "Open it in JupyterLab, and see `churn graph`."
    )
