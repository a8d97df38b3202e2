"""Features as the pipelines want them, and their encoding for a linear model and for trees."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

# It takes fewer then.
warnings.filterwarnings("ignore", "n_quantiles .* is greater than the total number of samples")


# Columns that all splines together may have: a fit takes the square of their number.
_MOST_SPLINES = 400
_FARTHEST = 4  # standard deviations from the mean: beyond it a number is taken for that
_VALUE_WEIGHT = 3  # of a number, beside its spline: it is penalized a ninth as much


@dataclass(frozen=True)
class Columns:
    """The features by how they are encoded: numbers, categories with few values, and
    those with `many`.
    """

    numbers: Sequence[str]
    categories: Sequence[str]
    many: Sequence[str] = field(default=())

    @property
    def codes(self) -> list[int]:
        """The places of the categories among what `encode_for_trees` makes: its first."""
        return list(range(len(self.categories)))


def as_features(
    frame: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str]
) -> pd.DataFrame:
    """Select features as every pipeline is fitted and asked with: finite float64 or
    NaN, text or NaN.
    """
    features = frame[[*numbers, *categories]].astype(dict.fromkeys(numbers, "float64"))
    features[[*numbers]] = features[[*numbers]].replace([np.inf, -np.inf], np.nan)
    for name in categories:
        features[name] = frame[name].astype(object).where(frame[name].notna(), np.nan)
    features.columns = pd.Index([*numbers, *categories], dtype=object)
    return features


def sort_columns(
    features: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str], *, most: int
) -> Columns:
    """Tell categories with at most that many values from those with more. The answers
    are not looked at.
    """
    many = [name for name in categories if features[name].nunique() > most]
    return Columns([*numbers], [name for name in categories if name not in many], many)


def encode_for_linear(columns: Columns, *, knots: int, rare: int, seed: int) -> Any:
    """Encode for a linear model: numbers in standard deviations, flags for missing ones, one
    column a category; with `knots`, also the ranks of numbers in cubic splines.

    Ranks make the splines indifferent to outliers and skew; the numbers themselves, which
    count more than a spline's columns, keep a straight line straight. Where there are very
    many numbers, each has fewer knots, or none. Categories rarer than `rare` share one
    column with those that were never seen. A category with many values is one number: the
    churn rate of its value.
    """
    # Cubic: two columns more than knots.
    knots = min(knots, _MOST_SPLINES // max(len(columns.numbers), 1) - 2)
    clip = FunctionTransformer(
        np.clip, kw_args={"a_min": -_FARTHEST, "a_max": _FARTHEST}, feature_names_out="one-to-one"
    )
    number = make_pipeline(StandardScaler(), clip)
    if knots > 1:
        ranks = QuantileTransformer(n_quantiles=200, random_state=seed)
        curves = make_pipeline(ranks, SplineTransformer(n_knots=knots))
        number = FeatureUnion(
            [("value", number), ("curve", curves)], transformer_weights={"value": _VALUE_WEIGHT}
        )
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    encoder = OneHotEncoder(
        min_frequency=rare, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    return ColumnTransformer(
        [
            ("number", make_pipeline(imputer, number), columns.numbers),
            ("missing", MissingIndicator(error_on_new=False), columns.numbers),
            ("category", make_pipeline(_name_missing(), encoder), columns.categories),
            (
                "rate",
                make_pipeline(_name_missing(), _encode_rates(seed), StandardScaler()),
                columns.many,
            ),
        ]
    )


def encode_for_trees(columns: Columns, *, rare: int, seed: int) -> Any:
    """Encode for trees: numbers with flags for missing ones, categories as codes; rare
    ones share a code, and one that was never seen has -1.

    The codes come first: `Columns.codes` names them to a model that takes categories. Nothing
    is missing in what it makes, so that any model can take it. A category with many values
    is one number: the churn rate of its value.
    """
    imputer = SimpleImputer(strategy="median", keep_empty_features=True, add_indicator=True)
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=-1,
        min_frequency=rare,
        max_categories=254,  # scikit-learn's boosting takes 255 codes at most
    )
    return ColumnTransformer(
        [
            ("category", make_pipeline(_name_missing(), encoder), columns.categories),
            ("number", imputer, columns.numbers),
            ("rate", make_pipeline(_name_missing(), _encode_rates(seed)), columns.many),
        ]
    )


def _encode_rates(seed: int) -> Any:
    """Replace a category by its churn rate, shrunk towards that of all; a training row
    by that of the other folds.

    Source: Micci-Barreca, A preprocessing scheme for high-cardinality categorical
    attributes (2001).
    """
    return TargetEncoder(
        target_type="binary", cv=StratifiedKFold(5, shuffle=True, random_state=seed)
    )


def _name_missing() -> Any:
    """Make a category of what is missing: the encoders fail where it is missing for
    all, or in scoring only.
    """
    return SimpleImputer(strategy="constant", fill_value="(missing)", keep_empty_features=True)
