"""The options of commands: each is declared once, whichever commands have it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# What the data is, and what stages are given.
ParamsOption = Annotated[
    Path,
    typer.Option(
        "--params",
        metavar="FILE",
        help="The facts of the data set and overrides of stage parameters.",
    ),
]
SourcesOption = Annotated[
    Path,
    typer.Option(
        "--params", "--sources", metavar="FILE", help="The facts of the data, with its sources."
    ),
]
OutcomeOption = Annotated[
    Path | None,
    typer.Option(
        "--params",
        "--sources",
        metavar="FILE",
        help="The data that shows what happened, and its label.",
    ),
]
DataSetOption = Annotated[
    Path | None,
    typer.Option(
        "--params", metavar="FILE", help="The params file of the data set whose models are meant."
    ),
]
SettingsOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="STAGE.NAME=VALUE",
        help="Give a stage's parameter a value in YAML, such as model_building.seed=7. "
        "May be repeated.",
    ),
]

# Which stages run.
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="STAGE", help="Start at this stage, with the datasets as they lie."
    ),
]
OnlyOption = Annotated[str | None, typer.Option(metavar="STAGE", help="Run this stage alone.")]
UntilOption = Annotated[str | None, typer.Option(metavar="STAGE", help="End with this stage.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Run every stage, also where nothing has changed.")
]
ForceStageOption = Annotated[
    list[str],
    typer.Option(
        "--force-stage", metavar="STAGE", help="Run this stage all the same. May be repeated."
    ),
]
NoRefreshOption = Annotated[
    bool,
    typer.Option("--no-refresh", help="Do not read databases, APIs and files elsewhere again."),
]
ColdKernelsOption = Annotated[
    bool,
    typer.Option(
        "--cold-kernels", help="Start each kernel as a new process, not as a fork of a warm one."
    ),
]

# What is told.
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="End with exit code 1 when the new model was not promoted."),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Tell only warnings, and how the run ended.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell every line, on a terminal too.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")]

# Which run.
RunArgument = Annotated[str, typer.Argument(help="The run's id, or `latest`.")]
ScoringRunArgument = Annotated[
    str, typer.Argument(help="The id of a scoring run, or `latest-scoring`.")
]

# Models and scores.
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="@champion or a version, of the data set of --params, or models:/NAME/VERSION.",
    ),
]
ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with the version.")
]
OutOption = Annotated[
    str,
    typer.Option(
        "--out",
        metavar="FILE",
        help="A file that ends in .csv or .parquet, or a database's address.",
    ),
]
AsOfOption = Annotated[
    str | None,
    typer.Option(metavar="DAY", help="The day of the snapshot; by default the last that is known."),
]
ContactOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Contact the N most likely; by default as the model's threshold says.",
    ),
]
TableOption = Annotated[
    str, typer.Option(metavar="NAME", help="The table, where --out is a database.")
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Remove the scores of earlier runs from that table.")
]
PortOption = Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")]
