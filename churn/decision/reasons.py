"""Why a customer is likely to leave, in words that a person who calls him can read,
from partial dependence.

The partial dependence of a feature (Friedman, Greedy Function Approximation, 2001) is
the mean probability over a sample of customers when all of them are given one value of
it. A reason is how far it lies above its mean over the sample, in points of
probability: what the model has learned of customers with this value, everything else
being as it happens to be. It is no cause.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churn.modelling.processes import run_all

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer[Any]]

BINS = 12  # of a number
MOST_VALUES = 40  # of a category; the others are told as one
SAMPLE = 400  # customers
LEAST_POINTS = 1.0  # a reason that adds less is none
_LONGEST_TEXT = 60  # characters of a description or a value
_UNSEEN = "\0a value that was never seen"
_NO_REASON = ""


def learn(
    model: Any,
    sample: pd.DataFrame,
    described: Mapping[str, str],
    *,
    most_rows: int = SAMPLE,
    seed: int = 0,
) -> dict[str, Any]:
    """Learn the partial dependence of each feature of a fitted classifier, as plain
    values that JSON can hold.

    Args:
        model: its `predict_proba` takes features such as those of `sample`.
        sample: features (float64 or text), of which `most_rows` customers are drawn.
        described: feature -> description, "" where there is none; the descriptions are
            used in the texts.
        most_rows: the model is asked so many times for each value of each feature.
        seed: of the draw.

    Returns:
        `mean`, the mean probability, and `features`: name -> `label`; `type`; of a
        number the `edges` between its bins, their `texts` and `effects`; of a category
        the `effects` of its `values`, and that of any `other`; `missing`. Effects are
        in points of probability (0.18 = 18 points) around their mean over the sample.
    """
    rows = sample.sample(min(most_rows, len(sample)), random_state=seed).reset_index(drop=True)
    jobs = [(model, rows, sample[name], described.get(str(name), "")) for name in sample]
    learned = run_all(_learn_feature, jobs, rows=0)
    features = dict(zip(sample, learned, strict=True))
    return {"mean": _round(float(np.mean(_ask(model, rows)))), "features": features}


def _learn_feature(
    model: Any, rows: pd.DataFrame, column: pd.Series[Any], description: str
) -> dict[str, Any]:
    name = str(column.name)
    facts: dict[str, Any] = {"label": _label(name, description)}
    if column.dtype.kind == "f":
        edges, typical, texts = _bin_number(column)
        effects = _depend(model, rows, name, [*typical, np.nan])
        shares = np.bincount(_place(column, edges), minlength=len(effects)) / len(column)
        centred = _centre(effects, shares)
        return facts | {
            "type": "number",
            "edges": [float(edge) for edge in edges],
            "typical": [float(value) for value in typical],
            "texts": texts,
            "effects": centred[:-1],
            "missing": centred[-1],
        }
    counts = (
        column.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
    )
    values = [str(value) for value in counts.index[:MOST_VALUES]]
    effects = _depend(model, rows, name, [*values, _UNSEEN, np.nan])
    others, missing = counts.iloc[MOST_VALUES:].sum(), column.isna().sum()
    shares = np.array([*counts.iloc[:MOST_VALUES], others, missing], dtype=np.float64) / max(
        len(column), 1
    )
    *known, other, missing_effect = _centre(effects, shares)
    return facts | {
        "type": "category",
        "effects": dict(zip(values, known, strict=True)),
        "other": other,
        "missing": missing_effect,
    }


def _depend(model: Any, rows: pd.DataFrame, name: str, values: Sequence[Any]) -> Floats:
    """Return the mean probability when all rows have each of these values: one call of
    the model for all of them.

    (scikit-learn's `partial_dependence` makes a call for each value: several times
    slower with a pipeline.)
    """
    repeated = pd.concat([rows] * len(values), ignore_index=True)
    kind = rows[name].dtype
    repeated[name] = pd.Series(list(values), dtype=kind).repeat(len(rows)).to_numpy()
    means: Floats = _ask(model, repeated).reshape(len(values), len(rows)).mean(axis=1)
    return means


def _ask(model: Any, features: pd.DataFrame) -> Floats:
    return np.asarray(model.predict_proba(features)[:, 1], dtype=np.float64)


def _centre(effects: Floats, shares: Floats) -> list[float]:
    return [_round(value) for value in effects - np.average(effects, weights=shares)]


def _round(value: float) -> float:
    return round(float(value), 6)


def _bin_number(column: pd.Series[Any]) -> tuple[Floats, Floats, list[str]]:
    """Return the inner edges of a number's bins, a typical value of each bin, and what
    each is called.

    A number with few values has a bin for each; of any other the bins hold about
    equally many customers.
    """
    known = np.sort(column.dropna().to_numpy(np.float64))
    if not len(known):
        return np.array([]), np.array([0.0]), ["any"]
    values = np.unique(known)
    if len(values) <= BINS:
        return (values[1:] + values[:-1]) / 2, values, [_number(value) for value in values]
    quantiles = np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1], method="nearest")
    edges = np.array(sorted({float(f"{edge:.3g}") for edge in quantiles}))
    edges = edges[(edges > values[0]) & (edges <= values[-1])]
    places = np.digitize(known, edges)
    filled = np.unique(places)
    edges = edges[filled[1:] - 1]
    typical = np.array([np.median(known[places == place]) for place in filled])
    return edges, typical, list(_name_bins([float(edge) for edge in edges]))


def _name_bins(edges: Sequence[float]) -> Iterator[str]:
    if not edges:
        yield "any"
        return
    yield f"below {_number(edges[0])}"
    yield from (f"{_number(low)} to {_number(high)}" for low, high in itertools.pairwise(edges))
    yield f"{_number(edges[-1])} or more"


def _number(value: float) -> str:
    return f"{value:,.6g}"


def _label(name: str, description: str) -> str:
    """Return what a feature is called in a reason: its description with its name, if
    that is short and says more.
    """
    text = " ".join(description.split())
    if not text or len(text) > _LONGEST_TEXT or text.casefold() == name.casefold():
        return name
    return f"{text} ({name})"


def _place(column: pd.Series[Any], edges: Sequence[float] | Floats) -> Codes:
    """Return the bin of each number; that of a missing one is behind the last."""
    values = column.to_numpy(np.float64)
    return np.where(
        np.isnan(values), len(edges) + 1, np.searchsorted(np.asarray(edges), values, side="right")
    )


def give(frame: pd.DataFrame, learned: Mapping[str, Any], most: int = 3) -> pd.Series[Any]:
    """Return for each customer the `most` reasons that raise the probability most,
    strongest first, as one text.

    Such as `contract term (Type): Month-to-month, +18 points; tenure: below 5, +9
    points`. Empty where nothing raises it by a point. Takes the features that were
    learned; others are ignored, and an absent one gives no reason.
    """
    texts, chosen = _choose(frame, learned["features"], most)
    table = pa.array([*texts, _NO_REASON])
    joined = pa.array([_NO_REASON]).take(pa.array(np.zeros(len(frame), dtype=np.int32)))
    for rank, places in enumerate(chosen):
        part = table.take(pa.array(np.where(places < 0, len(texts), places)))
        sign = pc.if_else(pc.equal(part, _NO_REASON), "", "; " if rank else "")
        joined = pc.binary_join_element_wise(joined, part, sign)  # the last is the separator
    return pd.Series(
        pd.array(joined.to_numpy(zero_copy_only=False), dtype="str"),
        index=frame.index,
        name="reasons",
    )


def _choose(frame: pd.DataFrame, features: Mapping[str, Any], most: int) -> tuple[list[str], Codes]:
    """Return all texts that a reason may have, and the places of each customer's
    strongest, -1 where there is none.

    Goes from feature to feature and keeps the best so far, so that a million customers
    take little memory.
    """
    texts: list[str] = []
    best = np.full((most, len(frame)), LEAST_POINTS / 100, dtype=np.float32)
    chosen = np.full((most, len(frame)), -1, dtype=np.int32)
    for name, facts in features.items():
        if name not in frame:
            continue
        place, values, points = _code(frame[name], facts)
        effect, code = (
            np.asarray(points, dtype=np.float32)[place],
            (place + len(texts)).astype(np.int32),
        )
        texts += [
            _say(facts["label"], value, 100 * point)
            for value, point in zip(values, points, strict=True)
        ]
        # A stronger one takes the place, and the one that had it goes on to the next.
        for rank in range(most):
            better = effect > best[rank]
            best[rank], effect = (
                np.where(better, effect, best[rank]),
                np.where(better, best[rank], effect),
            )
            chosen[rank], code = (
                np.where(better, code, chosen[rank]),
                np.where(better, chosen[rank], code),
            )
    return texts, chosen


def _say(label: str, value: str, points: float) -> str:
    return f"{label}: {value}, {points:+.0f} {'point' if round(points) == 1 else 'points'}"


def _code(column: pd.Series[Any], facts: Mapping[str, Any]) -> tuple[Codes, list[str], list[float]]:
    """Return the place of each customer's value among the values known of a feature,
    what they are called, effects.
    """
    if facts["type"] == "number":
        numbers = pd.to_numeric(column, errors="coerce").astype("float64")
        return (
            _place(numbers, facts["edges"]),
            [*facts["texts"], "missing"],
            [*facts["effects"], facts["missing"]],
        )
    known = list(facts["effects"])
    found, values = pd.factorize(column, use_na_sentinel=True)
    places = pd.Index(known).get_indexer(pd.Index([str(value) for value in values]))
    # The last stands for -1: missing.
    of_values = np.append(np.where(places < 0, len(known), places), len(known) + 1)
    names = [*(value[:_LONGEST_TEXT] for value in known), "a rare or new value", "missing"]
    return of_values[found], names, [*facts["effects"].values(), facts["other"], facts["missing"]]
