"""The notebook of a new stage: it has all that a stage's notebook needs, and runs as it is."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from orchestrator.notebook.stage_graph import Graph

_IMPORTS = """\
import pandas as pd

from churn.datasets import new_dataset
from churn.stage import Stage, gate
from churn.tables.files import read_table, tables_in, write_table"""
_LOAD = """\
stage = Stage(params_file)
tables = {{name: rows for folder in ({folders},) for name, rows in tables_in(folder).items()}}
gate([] if tables else ["there is no table"], "Nothing to read")
pd.Series(tables, name="rows").to_frame()"""
_WRITE = """\
name = next(iter(tables))
result = read_table({first}, name)
with new_dataset({written}) as folder:
    write_table(result, folder, "{stage}")
result.head()"""
_LOOK = """\
result = read_table({first}, next(iter(tables)))
result.head()"""
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def number_after(graph: Graph, reads: Sequence[str]) -> str:
    """Return the number of a new notebook: that of the last one that writes what it reads, with a
    digit more, so that it stands behind it.
    """
    paths = {f"data/{name}" for name in reads}
    writers = [stage for stage in graph.training.stages if paths & set(stage.writes)]
    last = writers[-1].notebook.partition("_")[0] if writers else "0"
    taken = {name.partition("_")[0] for name in (s.notebook for s in graph.training.stages)}
    digits = itertools.chain("5678", "1234", map(str, itertools.count(50)))
    return next(f"{last}{digit}" for digit in digits if f"{last}{digit}" not in taken)


def make_notebook(number: str, name: str, reads: Sequence[str], writes: str) -> NotebookNode:
    """Return the notebook of a stage that reads datasets of `data/`, and writes one or none."""
    written = f"`data/{writes}`" if writes else "nothing"
    folders = ", ".join(f"{one}_dir" for one in reads)
    first = f"{reads[0]}_dir"
    body = (
        _WRITE.format(first=first, written=f"{writes}_dir", stage=name)
        if writes
        else (_LOOK.format(first=first))
    )
    title = f"""\
# {number} {name.replace("_", " ").capitalize()}

Say in one sentence what this stage is for.

| | dataset | content |
|---|---|---|
| in | {", ".join(f"`data/{one}`" for one in reads)} | |
| out | {written} | |"""
    cells = [
        new_markdown_cell(title, id="title"),
        new_code_cell(_IMPORTS, id="imports"),
        new_markdown_cell("## Parameters", id="parameters-text"),
        new_code_cell(_declare(reads, writes), id="parameters", metadata={"tags": ["parameters"]}),
        new_markdown_cell("## What comes in", id="load-text"),
        new_code_cell(_LOAD.format(folders=folders), id="load-tables"),
        new_markdown_cell("## What is made of it\n\nA reason for each decision.", id="make-text"),
        new_code_cell(body, id="make"),
        new_markdown_cell("## Summary", id="summary-text"),
        new_code_cell("stage.summarize(rows=len(result))", id="summary"),
    ]
    return new_notebook(cells=cells, metadata={"kernelspec": _KERNEL})


def _declare(reads: Sequence[str], writes: str) -> str:
    lines = ['params_file = "../params.yaml"  # facts of the data set']
    lines += [f'{one}_dir = "../data/{one}"  # dataset to read' for one in reads]
    lines += [f'{writes}_dir = "../data/{writes}"  # dataset to write'] if writes else []
    return "\n".join(lines)
