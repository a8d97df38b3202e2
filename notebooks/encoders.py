"""Features as the pipelines want them, and how a linear model and trees are told of them."""

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
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

warnings.filterwarnings("ignore", "n_quantiles .* is greater than the total number of samples")  # it takes fewer then


@dataclass(frozen=True)
class Columns:
    """The features by how they are encoded: numbers, categories with few values, and those with `many`."""

    numbers: Sequence[str]
    categories: Sequence[str]
    many: Sequence[str] = field(default=())


def as_features(frame: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str]) -> pd.DataFrame:
    """Select features as every pipeline is fitted and asked with: finite float64 or NaN, text or NaN."""
    features = frame[[*numbers, *categories]].astype(dict.fromkeys(numbers, "float64"))
    features[[*numbers]] = features[[*numbers]].replace([np.inf, -np.inf], np.nan)
    for name in categories:
        features[name] = frame[name].astype(object).where(frame[name].notna(), np.nan)
    features.columns = pd.Index([*numbers, *categories], dtype=object)
    return features


def sort_columns(features: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str], *, most: int) -> Columns:
    """Tell categories with at most that many values from those with more. The answers are not looked at."""
    many = [name for name in categories if features[name].nunique() > most]
    return Columns([*numbers], [name for name in categories if name not in many], many)


def encode_for_linear(columns: Columns, *, knots: int, rare: int, seed: int) -> Any:
    """Encode for a linear model: ranks in cubic splines, flags for missing numbers, one column a category.

    Ranks make the splines indifferent to outliers and skew. Categories rarer than `rare` share one column with those
    that were never seen. A category with many values is one number: the churn rate of its value.
    """
    ranks = QuantileTransformer(n_quantiles=200, random_state=seed)
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    encoder = OneHotEncoder(min_frequency=rare, handle_unknown="infrequent_if_exist", sparse_output=False)
    return ColumnTransformer(
        [
            ("number", make_pipeline(imputer, ranks, SplineTransformer(n_knots=knots)), columns.numbers),
            ("missing", MissingIndicator(error_on_new=False), columns.numbers),
            ("category", make_pipeline(_name_missing(), encoder), columns.categories),
            ("rate", make_pipeline(_name_missing(), _encode_rates(seed), StandardScaler()), columns.many),
        ]
    )


def encode_for_trees(columns: Columns, *, rare: int, seed: int) -> Any:
    """Encode for gradient boosting: numbers with flags for missing ones, categories as codes; rare ones share a code.

    The codes come first, so that `categorical_features=[0, 1, …]` names them. Missing numbers are imputed
    since scikit-learn 1.9 fails to bin a number that is missing for every training customer. A category with many
    values is one number: the churn rate of its value.
    """
    imputer = SimpleImputer(strategy="median", keep_empty_features=True, add_indicator=True)
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
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
    """Replace a category by its churn rate, shrunk towards that of all; a training row by that of the other folds.

    Source: Micci-Barreca, A preprocessing scheme for high-cardinality categorical attributes (2001).
    """
    return TargetEncoder(target_type="binary", cv=StratifiedKFold(5, shuffle=True, random_state=seed))


def _name_missing() -> Any:
    """Make a category of what is missing: the encoders fail where it is missing for all, or in scoring only."""
    return SimpleImputer(strategy="constant", fill_value="(missing)", keep_empty_features=True)
