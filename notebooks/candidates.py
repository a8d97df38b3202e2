"""The models that compete: how each is tuned and fitted, from nothing but the training customers that it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

import splitting
from encoders import Columns, encode_for_linear, encode_for_trees

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Settings = dict[str, Any]  # C; max_leaf_nodes and max_iter

BASELINE, LINEAR, TREES, BLEND = "baseline", "logistic_regression", "gradient_boosting", "blend"
NAMES = (BASELINE, LINEAR, TREES, BLEND)  # the simplest first
_FOLDS = 3  # of the search


@dataclass(frozen=True)
class Space:
    """What is tried: the columns and their encoding, and the settings among which the search chooses."""

    columns: Columns
    knots: int
    rare: int
    seed: int
    strengths: Sequence[float]  # C of the logistic regression
    trees: Mapping[int, Sequence[int]]  # leaves of a tree -> how many such trees
    learning_rate: float
    most_rows: int  # that the search looks at

    def model(self, name: str, settings: Settings) -> Any:
        """Return an unfitted model without its encoder.

        A strong L2 penalty and a random part of the features at each split keep the trees from learning noise.
        """
        if name == LINEAR:
            return LogisticRegression(C=settings["C"], solver="newton-cholesky")
        return HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_leaf_nodes=settings["max_leaf_nodes"],
            max_iter=settings["max_iter"],
            l2_regularization=30,
            max_features=0.3,
            early_stopping=False,  # the search finds the number of trees
            categorical_features=list(range(len(self.columns.categories))),
            random_state=self.seed,
        )

    def encoders(self) -> dict[str, Any]:
        """Return the unfitted encoder of each kind of model."""
        return {
            LINEAR: encode_for_linear(self.columns, knots=self.knots, rare=self.rare, seed=self.seed),
            TREES: encode_for_trees(self.columns, rare=self.rare, seed=self.seed),
        }

    def candidates(self, settings: Settings) -> dict[str, Any]:
        """Return the unfitted pipelines by name, the simplest first."""
        kinds = {name: make_pipeline(encoder, self.model(name, settings)) for name, encoder in self.encoders().items()}
        both = VotingClassifier([(name, clone(model)) for name, model in kinds.items()], voting="soft")
        return {BASELINE: make_pipeline(DummyClassifier(strategy="prior")), **kinds, BLEND: both}


def tune(
    space: Space, features: pd.DataFrame, churned: Labels, groups: Labels
) -> tuple[dict[str, Any], Settings, pd.DataFrame]:
    """Search the settings.

    Returns:
        The unfitted candidates with the best ones, these settings, and all that was tried: columns model, its settings,
        log loss.
    """
    rows = pick_rows(groups, space.most_rows, space.seed)
    x, y, tables, best = features.iloc[rows], churned[rows], [], Settings()
    with threadpool_limits(1):
        for name, encoder in space.encoders().items():
            tried, chosen = _search(space, name, encoder.fit_transform(x, y), y, groups[rows])
            tables.append(tried.assign(model=name))
            best |= chosen
    return space.candidates(best), best, pd.concat(tables, ignore_index=True)


def predict_tuned(
    space: Space, features: pd.DataFrame, churned: Labels, groups: Labels, split: splitting.Split
) -> tuple[dict[str, Floats], Settings]:
    """Tune and fit every candidate on the training part of a split, and return its probabilities for the rest.

    The search shares the encoding with the model: it has seen the training rows that a setting is tested on, but
    nothing has seen the rest. Returned, too, are the settings that were chosen.
    """
    train, test = split
    x, y, asked = features.iloc[train], churned[train], features.iloc[test]
    rows = pick_rows(groups[train], space.most_rows, space.seed)
    predicted, best = {BASELINE: np.full(len(test), y.mean())}, Settings()
    with threadpool_limits(1):  # threads wait for each other more than they work
        for name, encoder in space.encoders().items():
            encoded = encoder.fit_transform(x, y)
            _, chosen = _search(space, name, encoded[rows], y[rows], groups[train][rows])
            model = space.model(name, chosen).fit(encoded, y)
            predicted[name] = model.predict_proba(encoder.transform(asked))[:, 1]
            best |= chosen
    return predicted | {BLEND: (predicted[LINEAR] + predicted[TREES]) / 2}, best


def pick_rows(groups: Labels, most: int, seed: int) -> npt.NDArray[np.intp]:
    """Return the positions of about that many rows at random, in whole groups; of all, where there are no more."""
    if len(groups) <= most:
        return np.arange(len(groups))
    code = pd.factorize(groups)[0]
    return np.flatnonzero(np.random.default_rng(seed).random(code.max() + 1)[code] < most / len(groups))


def _search(space: Space, name: str, encoded: Floats, churned: Labels, groups: Labels) -> tuple[pd.DataFrame, Settings]:
    """Measure each setting of a kind of model on the folds of encoded rows; of equal ones the first is the best."""
    losses = []
    for train, test in splitting.make_folds(churned, groups, folds=_FOLDS, repeats=1, seed=space.seed):
        for settings, probability in _try(space, name, encoded[train], churned[train], encoded[test]):
            losses.append(settings | {"log loss": float(log_loss(churned[test], probability))})
    names = [key for key in losses[0] if key != "log loss"]
    tried = pd.DataFrame(losses).groupby(names, sort=False)["log loss"].mean().reset_index()
    return tried, {name: tried[name].tolist()[int(tried["log loss"].argmin())] for name in names}


def _try(space: Space, name: str, encoded: Floats, churned: Labels, asked: Floats) -> Iterator[tuple[Settings, Floats]]:
    """Yield the probabilities of each setting; of fewer trees on the way to the most."""
    if name == LINEAR:
        for strength in space.strengths:
            settings: Settings = {"C": strength}
            yield settings, space.model(name, settings).fit(encoded, churned).predict_proba(asked)[:, 1]
        return
    for leaves, counts in space.trees.items():
        settings = {"max_leaf_nodes": leaves, "max_iter": max(counts)}
        model = space.model(name, settings).fit(encoded, churned)
        for count, probability in enumerate(model.staged_predict_proba(asked), start=1):
            if count in counts:
                yield settings | {"max_iter": count}, probability[:, 1]
