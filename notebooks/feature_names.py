"""Names that the feature store can hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from params.formulas import RESERVED


def find_unfit_names(names: Iterable[str]) -> list[str]:
    """Return a sentence for each name that Feast cannot hold as a feature."""
    names = list(names)
    reasons: dict[str, Callable[[str], object]] = {
        "Feast splits the names of features at ':' and '@'": lambda name: set(name) & {":", "@"},
        "Feast drops columns whose names end in '_y' when it joins": lambda name: name.endswith("_y"),
        "the training set or Feast uses this name itself": lambda name: name in RESERVED,
        "two features have this name": lambda name: names.count(name) > 1,
    }
    return [f"{name!r}: {why}" for why, holds in reasons.items() for name in dict.fromkeys(names) if holds(name)]


def fit_names(names: Iterable[str]) -> dict[str, str]:
    """Return another name for each feature whose own Feast cannot hold: old -> new, none of them twice."""
    renamed: dict[str, str] = {}
    taken = {*names}
    for name in list(names):
        if find_unfit_names([name]):
            new = re.sub("[:@]", "_", name) + "_"
            while new in taken or find_unfit_names([new]):
                new += "_"
            taken.add(new)
            renamed[name] = new
    return renamed
