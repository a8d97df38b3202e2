"""How the candidates are tuned and fitted, from nothing but the training customers that they
are given.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone

from churn.modelling import early_stopping, splitting
from churn.modelling.candidates import Candidate, Contest, Settings
from churn.modelling.metrics import log_loss
from churn.modelling.processes import run_all
from churn.modelling.splitting import Examples, Split

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_FOLDS = 3
_STEPS_IN_VAIN = 2  # up a ladder, after which no more are tried
_SMALLEST = 2  # of a whole number that is a size: leaves, neighbours, levels
_MORE_STAGES = 1.2  # trees, for half as many rows again
_NEAR_THE_MOST = 0.95  # of the trees: from here on more of them may be better


@dataclass(frozen=True)
class Tuned:
    """What the search found.

    Attributes:
        models: the unfitted candidates with the best settings.
        settings: the best settings of each that has any.
        tried: what was tried: columns model, settings, log loss.
        edges: of each candidate, which settings are the largest or smallest of those that
            were tried, in words: others may be better.
    """

    models: dict[str, Any]
    settings: dict[str, Settings]
    tried: pd.DataFrame
    edges: dict[str, list[str]]


def tune(contest: Contest, train: Examples) -> Tuned:
    """Search the settings of each candidate."""
    rows = train.take(pick_rows(train.groups, contest.most_rows, contest.seed))
    encoded = [
        (one, each)
        for encoder, members in _by_encoder(contest)
        for each in _encode(encoder, rows)
        for one in members
    ]
    losses = _search(encoded, rows, contest.seed)
    best = {name: _choose(table) for name, table in losses.items()}
    tried = pd.concat([table.assign(model=name) for name, table in losses.items()])
    tried["settings"] = [_name_settings(settings) for settings in tried["settings"]]
    edges = {one.name: list(_find_edges(one, best[one.name])) for one in contest.tuned}
    for one in contest.candidates:
        edges.setdefault(one.name, [text for name in one.mean_of for text in edges[name]])
    tried = tried[["model", "settings", "log loss"]].reset_index(drop=True)
    return Tuned(contest.pipelines(best), best, tried, edges)


def predict_tuned(
    contest: Contest, examples: Examples, split: Split
) -> tuple[dict[str, Floats], dict[str, Settings]]:
    """Tune and fit every candidate on the training part of a split, and return its
    probabilities for the rest.

    The search shares the encoding with the model: it has seen the training rows that a
    setting is tested on, but nothing has seen the rest. Returned, too, are the settings
    that were chosen.
    """
    train, test = examples.take(split[0]), examples.take(split[1])
    rows = pick_rows(train.groups, contest.most_rows, contest.seed)
    predicted: dict[str, Floats] = {}
    best: dict[str, Settings] = {}
    for encoder, members in _by_encoder(contest):
        encoded, asked = _encode(encoder, train, test)
        some = _take(encoded, rows)
        losses = _search([(one, some) for one in members], train.take(rows), contest.seed)
        for one in members:
            best[one.name] = _choose(losses[one.name])
            model = one.classifier(best[one.name]).fit(encoded, train.churned)
            predicted[one.name] = model.predict_proba(asked)[:, 1]
    for one in contest.candidates:
        if one.mean_of:
            together = [predicted[name] for name in one.mean_of]
            predicted[one.name] = sum(together[1:], together[0]) / len(together)
    return {name: predicted[name] for name in contest.names}, best


def pick_rows(groups: Labels, most: int, seed: int) -> npt.NDArray[np.intp]:
    """Return the positions of about that many rows at random, in whole groups; of all,
    where there are no more.
    """
    if len(groups) <= most:
        return np.arange(len(groups))
    code = pd.factorize(groups)[0]
    drawn = np.random.default_rng(seed).random(code.max() + 1)
    return np.flatnonzero(drawn[code] < most / len(groups))


def _by_encoder(contest: Contest) -> Iterator[tuple[Any, list[Candidate]]]:
    """Yield neighbours that share an encoder together: the rows are encoded once for them."""
    for _, group in itertools.groupby(contest.tuned, key=lambda one: id(one.encoder)):
        members = list(group)
        yield members[0].encoder, members


def _encode(encoder: Any, train: Examples, *asked: Examples) -> list[Any]:
    """Fit an encoder to training rows, and return what it makes of them and of others."""
    if encoder is None:
        return [train.features, *(each.features for each in asked)]
    fitted = clone(encoder)
    encoded = fitted.fit_transform(train.features, train.churned)
    return [encoded, *(fitted.transform(each.features) for each in asked)]


def _take(encoded: Any, rows: npt.NDArray[np.intp]) -> Any:
    return encoded.iloc[rows] if isinstance(encoded, pd.DataFrame) else encoded[rows]


def _search(
    encoded: Sequence[tuple[Candidate, Any]], rows: Examples, seed: int
) -> dict[str, pd.DataFrame]:
    """Measure the settings of candidates on folds of the rows, encoded for each: columns
    settings, log loss. Where there is no choice, nothing is measured.
    """
    searched = [(one, each) for one, each in encoded if one.is_searched]
    folds = splitting.make_folds(rows.churned, rows.groups, folds=_FOLDS, repeats=1, seed=seed)
    jobs = [(one, each, rows.churned, fold) for one, each in searched for fold in folds]
    measured = run_all(_try_all, jobs, rows=len(jobs) * len(rows))
    found = {
        one.name: measured[place * _FOLDS : (place + 1) * _FOLDS]
        for place, (one, _) in enumerate(searched)
    }
    return {one.name: _tabulate(one, found.get(one.name, [])) for one, _ in encoded}


def _try_all(one: Candidate, encoded: Any, churned: Labels, split: Split) -> list[Floats]:
    """Return the log loss on a fold with each of a candidate's settings: one number, or
    of a staged one a number for each stage. Of a ladder the last steps may be left out.
    """
    train, asked = ((_take(encoded, rows), churned[rows]) for rows in split)
    losses: list[Floats] = []
    model = None
    for settings in one.grid:
        if model is not None and getattr(model, "warm_start", False):
            model.set_params(**settings)  # it goes on from what the settings before have found
        else:
            model = one.classifier(settings)
        if one.staged:
            losses.append(early_stopping.measure_stages(model, train, asked))
        else:
            model.fit(*train)
            losses.append(np.array([log_loss(asked[1], model.predict_proba(asked[0])[:, 1])]))
        lowest = [each.min() for each in losses]
        if one.is_ladder and int(np.argmin(lowest)) < len(lowest) - _STEPS_IN_VAIN:
            break
    return losses


def _tabulate(one: Candidate, folds: Sequence[Sequence[Floats]]) -> pd.DataFrame:
    """Return the mean log loss of each of a candidate's settings that every fold has tried, of
    a staged one with the number of stages at which it is lowest.
    """
    if not folds:
        return pd.DataFrame({"settings": one.grid, "log loss": np.nan})
    means = [early_stopping.average(losses) for losses in zip(*folds, strict=False)]
    best = [
        {one.staged: _extend(one, int(each.argmin()) + 1)} if one.staged else {} for each in means
    ]
    settings = [one_of | staged for one_of, staged in zip(one.grid, best, strict=False)]
    return pd.DataFrame({"settings": settings, "log loss": [each.min() for each in means]})


def _extend(one: Candidate, count: int) -> int:
    """Return how many stages all rows are worth, of which the search has fitted two thirds."""
    return min(round(_MORE_STAGES * count), one.most)


def _choose(losses: pd.DataFrame) -> Settings:
    """Return the settings with the lowest log loss; of equal ones the first."""
    known = losses["log loss"].fillna(np.inf)
    settings: Settings = losses["settings"].iloc[int(known.argmin())]
    return settings


def _name_settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or "as it is"


def _find_edges(one: Candidate, best: Settings) -> Iterator[str]:
    for name, value in best.items():
        if name == one.staged:
            if value >= _NEAR_THE_MOST * one.most:
                yield f"{one.name} has {name}={value}, of {one.most} at most"
            continue
        tried = {settings[name] for settings in one.grid if name in settings}
        if len(tried) < 2 or not all(isinstance(each, (int, float)) for each in tried):
            continue
        if value == max(tried):
            yield f"{one.name} has {name}={value}, the largest that was tried"
        elif value == min(tried) and not (isinstance(value, int) and value <= _SMALLEST):
            yield f"{one.name} has {name}={value}, the smallest that was tried"
