"""The model card: one page of Markdown that tells what a model is for, how good it is,
and where it ends.

After Mitchell et al., Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from churn import pandas_semantics  # noqa: F401  (before MLflow: it turns the telemetry off)

# isort: split
import mlflow
from IPython.display import Markdown
from mlflow.entities.model_registry import ModelVersion

from churn.modelling.registry import Recorded
from churn.params import InactivityLabel

_LONGEST_DESCRIPTION = 5_000  # characters that MLflow's database keeps
_INTENDED = (
    "To choose which present customers of this company to contact before they leave, and to "
    "tell whoever contacts them what the model has seen. Not for decisions about a person's "
    "rights, prices or credit, nor for another company's customers."
)
_LIMITS = (
    "The probabilities hold for customers like those of the training; `churn score` tells when "
    "today's have drifted.",
    "Reasons and importances tell what the model relies on. They are no causes: to change them "
    "may change nothing.",
    "The profit rests on the costs and the chance to keep a customer that were given; only a "
    "campaign with a control group measures that chance.",
    "Who has been contacted before may have stayed for that reason, which the training data "
    "does not tell.",
)


def write_card(
    facts: Mapping[str, Any],
    *,
    metrics: pd.DataFrame,
    money: pd.DataFrame,
    segments: pd.DataFrame,
    warnings: Sequence[str],
    lineage: Mapping[str, str],
    data: str,
) -> str:
    """Return the card of a model.

    Args:
        facts: of the model, as `scoring.json` has them: data_set, model, threshold,
            features, trained, split, money.
        metrics: a row for each metric of the test set, columns test, low and high.
        money: a row for each policy; see profit.compare_policies.
        segments: see segments.tabulate.
        warnings: what is known to be wrong.
        lineage: what it came from: name -> id or hash.
        data: `real` or `synthetic`.
    """
    trained, label = facts["trained"], facts["trained"].get("label") or {}
    lines = [
        f"## Model card: churn of {_escape(facts['data_set'])}",
        f"\n**What it is.** {_describe_model(facts, data)}",
        f"\n**Intended use.** {_INTENDED}",
        f"\n**Data.** {_describe_data(trained)} {_describe_split(facts['split'])}",
        f"\n**The answer.** {_describe_label(label)}",
        "\n**On the test set**, with 95 % intervals:\n",
        *_table(["metric", "value", "low", "high"], _list_metrics(metrics)),
        f"\n**Decision.** {_describe_decision(facts, money)}",
        "\n**Segments** of the test set:\n",
        *_table(["segment", *map(str, segments)], _list_segments(segments)),
        "\n**Limits.**\n",
        *(f"- {_escape(text)}" for text in (*warnings, *_LIMITS)),
    ]
    origins = "; ".join(f"{name} `{value}`" for name, value in lineage.items() if value)
    lines.append(f"\n**Lineage.** {origins}.")
    return "\n".join(lines) + "\n"


def keep(card: str, entry: Recorded) -> Markdown:
    """Keep a card with a model: as `model_card.md` of its run, and as the description of its
    version, if it is registered; return it, to be shown.
    """
    client = mlflow.MlflowClient()
    client.log_text(entry.mlflow_run_id, card, "model_card.md")
    shown = (
        card
        if len(card) <= _LONGEST_DESCRIPTION
        else card[:_LONGEST_DESCRIPTION].rpartition("\n")[0]
    )
    if isinstance(entry.model, ModelVersion):
        client.update_model_version(entry.name, entry.model.version, shown)
    return Markdown(card)


def _describe_model(facts: Mapping[str, Any], data: str) -> str:
    what = f"A {facts['model'].replace('_', ' ')} of {len(facts['features'])} features."
    if data != "synthetic":
        return what
    return f"{what} The customers are made up: this model says nothing about real ones."


def _describe_data(trained: Mapping[str, Any]) -> str:
    days = trained.get("as_of") or []
    when = (
        f", as of {days[0]}"
        if len(days) == 1
        else f", as of {len(days)} days, {days[0]} to {days[-1]}"
        if days
        else ""
    )
    told = (
        f"Trained on {trained['rows']:,} rows{when}; {trained['churn_rate']:.1%} of them churned."
    )
    if "groups" not in trained:
        return told
    return (
        f"{told} They are {trained['groups']:,} independent groups: rows of one customer, or that "
        "repeat each other, stay together in every split and count once in every interval and gate."
    )


def _describe_split(split: Mapping[str, Any]) -> str:
    if split.get("how") == "time":
        return f"The test set is the customers of {split['test_from']} and later, looked at once."
    return (
        f"The test set is {split['test_share']:.0%} of the customers, chosen by a hash of their "
        "id, looked at once."
    )


def _describe_label(label: Mapping[str, Any]) -> str:
    if "inactive_days" in label:
        return f"A customer has {InactivityLabel.model_validate(label)}."
    if "horizon_days" in label:
        return (
            f"The contract ends (`{label['end_date']}`) within {label['horizon_days']} days of "
            "the snapshot."
        )
    if "column" in label:
        return f"The column `{label['column']}` says `{_escape(str(label['positive']))}`."
    return "A customer who has left."


def _describe_decision(facts: Mapping[str, Any], money: pd.DataFrame) -> str:
    best, everybody = money.iloc[-1], float(money["profit"].loc["contact all"])
    gain = f"{best['profit']:,.3g} (95 %: {best['low']:,.3g} to {best['high']:,.3g})"
    return (
        f"Contact from a probability of {facts['threshold']:.3f} on: {best['contacted']:.1%} of "
        f"the customers. This brings {gain} per customer of the test set, in the units of the "
        f"costs that were given; contacting all brings {everybody:,.3g}."
    )


def _list_metrics(metrics: pd.DataFrame) -> list[list[str]]:
    return [
        [str(name), *(f"{row[part]:.4f}" for part in ("test", "low", "high"))]
        for name, row in metrics.iterrows()
    ]


def _list_segments(segments: pd.DataFrame) -> list[list[str]]:
    return [
        [_escape(" = ".join(part for part in map(str, key) if part)), *map(str, row)]
        for key, *row in segments.itertuples(name=None)
    ]


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    yield from (f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)


def _escape(text: str) -> str:
    """Return a text such that Markdown and HTML show it as it is."""
    signs = {
        "&": "&amp;",
        "<": "&lt;",
        "|": "\\|",
        "*": "\\*",
        "_": "\\_",
        "`": "\\`",
        "\n": " ",
        "\r": " ",
    }
    return "".join(signs.get(sign, sign) for sign in text)
