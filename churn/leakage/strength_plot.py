"""How well features and combinations of them tell who churns, as a picture."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns


def draw_strengths(single: pd.DataFrame, pairs: pd.DataFrame, told: float, most: float) -> None:
    """Draw the AUC of the strongest features and combinations.

    Args:
        single: of `strength.separate_each`.
        pairs: of `strength.separate_pairs`.
        told: the AUC of the dotted line.
        most: that of the dashed one.
    """
    of_pairs = pairs.set_index(pairs["combination"].astype("str"))["AUC"]
    strengths = pd.concat([single["AUC"].head(12), of_pairs.head(3)])
    _, axes = plt.subplots(figsize=(9, 5))
    sns.barplot(x=strengths.to_numpy(), y=strengths.index, color=sns.color_palette()[0], ax=axes)
    axes.axvline(told, color="grey", linestyle=":")
    axes.axvline(most, color=sns.color_palette()[3], linestyle="--")
    axes.set(title="How well features tell who churns (dashed: too well)", xlim=(0.5, 1))
    axes.set_xlabel("AUC (0.5: not at all)")
