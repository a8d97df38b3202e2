"""`churn evaluate`: how good the scores of a run were, now that it is known who left,
and how that changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.atomic_files import write_atomically
from orchestrator.engine.programs import run_program
from orchestrator.errors import ChurnError, UsageError
from orchestrator.models.registries import read_params
from orchestrator.project import Project
from orchestrator.records.past_runs import find_other_owner
from orchestrator.records.record import RunRecord, read_record, read_records
from orchestrator.site.rendering import render, write_page

FILE, PAGE = "evaluation.json", "evaluation.html"
_PREPARED = "data/prepared"
SCORES = "scores.parquet"  # as churn/scoring/destinations.py names it

# What is told of an evaluation -> its name, and how it is written.
MEASURES = {
    "roc_auc": ("ROC AUC", "{:.4f}"),
    "average_precision": ("average precision", "{:.4f}"),
    "log_loss": ("log loss", "{:.4f}"),
    "brier": ("Brier score", "{:.4f}"),
    "lift_at_10": ("lift among the first 10 %", "{:.2f}"),
    "churn_rate": ("who left", "{:.2%}"),
    "mean_probability": ("who was predicted to leave", "{:.2%}"),
    "calibration_slope": ("calibration slope (1 is right)", "{:.2f}"),
    "churn_rate_of_contacted": ("who left, of those to contact", "{:.2%}"),
    "churners_found": ("churners among those to contact", "{:.2%}"),
    "profit": ("profit of contacting them", "{:,.0f}"),
}


@dataclass(frozen=True)
class Evaluated:
    """The scores of a run and what became of them."""

    run_id: str
    data_set: str
    as_of: str
    model: str
    measured: Mapping[str, Any]

    def tell(self, name: str) -> str:
        """Return a measure as a text; empty where there is none."""
        value = self.measured.get(name)
        return "" if value is None else MEASURES[name][1].format(value)


def find_scores(project: Project, run_id: str, params_file: Path | None) -> RunRecord:
    """Return the record of a scoring run; by `latest-scoring` the newest one of the data set
    that a params file is of, if one is given.

    Raises:
        UsageError: there is none, it scored nobody, or customers of another data set.
    """
    record = read_record(project, run_id)
    if record.pipeline != "scoring":
        raise UsageError(
            f"Run {record.run_id} trained a model: name a run that scored customers, or "
            "latest-scoring."
        )
    if params_file is None:
        return record
    name = read_params(params_file).name
    if run_id == "latest-scoring":
        scoring = (one for one in read_records(project) if one.pipeline == "scoring")
        record = next((one for one in scoring if one.data_set in ("", name)), record)
    if record.data_set not in ("", name):
        raise UsageError(
            f"Run {record.run_id} scored customers of {record.data_set!r}, and {params_file} is of "
            f"{name!r}: name a run of that data set, or give the file the same `name`."
        )
    return record


def evaluate(project: Project, record: RunRecord, params_file: Path) -> Evaluated:
    """Compare a scoring run's scores with the prepared data as it lies; the answer is
    kept in the run's folder.

    Raises:
        UsageError: the run scored nobody.
        ChurnError: what happened cannot be told from the data.
    """
    _refuse_other_data(project, read_params(params_file).name, params_file)
    entry = record.stage("scoring")
    scored = entry.scored
    if scored is None:
        raise UsageError(f"Run {record.run_id} scored nobody: there is nothing to evaluate.")
    folder = project.runs / (entry.reused_from or record.run_id)
    answer = _ask(project, folder / SCORES, scored.scores_sha256, params_file)
    facts = {
        "as_of": scored.as_of,
        "model": scored.scored_with,
        "measured": answer,
    }
    write_atomically(
        project.runs / record.run_id / FILE, json.dumps(facts, indent=1).encode() + b"\n"
    )
    return Evaluated(
        record.run_id, record.data_set, str(facts["as_of"]), str(facts["model"]), answer
    )


def _refuse_other_data(project: Project, data_set: str, params_file: Path) -> None:
    """Refuse prepared data that a run of another data set wrote."""
    other, run_id = find_other_owner(project, _PREPARED, data_set) or ("", "")
    if other:
        raise ChurnError(
            f"{_PREPARED} is of {other!r}, from run {run_id}, and not of {data_set!r}. Run the "
            f"pipeline on later data of that: churn run --params {params_file} --until preparation."
        )


def _ask(project: Project, scores: Path, sha256: str, params_file: Path) -> dict[str, Any]:
    words = ["--scores", str(scores), "--sha256", sha256, "--params", str(params_file.resolve())]
    answer = run_program(
        project, "churn.scoring.actual_churn", [*words, "--prepared", f"../{_PREPARED}"]
    )
    if answer.returncode:
        raise ChurnError(answer.stderr.strip() or "The scores could not be evaluated.")
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def list_evaluated(project: Project, data_set: str) -> list[Evaluated]:
    """Return all evaluations that were kept of a data set, by the day of the scores."""
    found = []
    for record in read_records(project):
        file = project.runs / record.run_id / FILE
        if (record.pipeline, record.data_set) == ("scoring", data_set) and file.is_file():
            facts = json.loads(file.read_bytes())
            told = (facts["as_of"], facts["model"], facts["measured"])
            found.append(Evaluated(record.run_id, data_set, *told))
    return sorted(found, key=lambda one: (one.as_of, one.run_id))


def tell(one: Evaluated, others: list[Evaluated]) -> Iterator[str]:
    """Yield the measures of a run, and below them the most important ones of all evaluated runs."""
    unknown = one.measured["unknown"]
    yield (
        f"Run {one.run_id}: {one.measured['customers']:,} customers of {one.data_set!r} as of "
        f"{one.as_of}, scored with {one.model}"
    )
    if unknown:
        yield f"  of {unknown:,} of them it is not known whether they left; they are left out"
    for name, (words, _) in MEASURES.items():
        if text := one.tell(name):
            yield f"  {words:<34} {text}"
    if len(others) > 1:
        yield "Over time:"
        columns = ("roc_auc", "average_precision", "log_loss", "churn_rate", "mean_probability")
        yield "  " + "  ".join(
            ["as of     ", *(f"{MEASURES[name][0]:>26}" for name in columns), "model"]
        )
        for other in others:
            yield "  " + "  ".join(
                [other.as_of, *(f"{other.tell(name):>26}" for name in columns), other.model]
            )


def write_evaluation(project: Project, one: Evaluated, others: list[Evaluated]) -> Path:
    """Write the page of an evaluation, and return its path."""
    path = project.runs / one.run_id / PAGE
    page = render("evaluation.html.j2", one=one, others=others, measures=MEASURES)
    write_page(path, page)
    return path
