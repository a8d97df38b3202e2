"""The features of customers: their values, and of each what it means, where it comes from,
and the name that the feature store can hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from churn.leakage.leak_gate import spread_origins
from churn.params import suggest
from churn.params.formulas import RESERVED
from churn.stage import gate

DERIVED = "derived"  # the table of features that are computed here


@dataclass(frozen=True)
class Feature:
    """One feature: its name, the table it comes from (`derived`: computed here), its
    type and what it means.
    """

    name: str
    table: str
    type: Literal["number", "category"]
    description: str

    @property
    def view(self) -> str:
        """The name of the feature view it belongs to: the table's, as an identifier."""
        return re.sub(r"\W", "_", self.table)


class FeatureSet:
    """The features of customers at their as-of day, in the order in which they were added.

    `origins` names the columns and features that a feature is made of, as far as it is
    made of others.
    """

    def __init__(self, rows: int) -> None:
        """Begin without a feature; `rows` is the number of customers and days."""
        self._rows = rows
        self._values: dict[str, pd.Series[Any]] = {}
        self._about: dict[str, Feature] = {}
        self.origins: dict[str, list[str]] = {}

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the features."""
        return iter(self._about)

    def __len__(self) -> int:
        """Return the number of features."""
        return len(self._about)

    def add(
        self,
        name: str,
        values: pd.Series[Any],
        *,
        meaning: str,
        origin: Iterable[str] = (),
        table: str = DERIVED,
    ) -> None:
        """Add a feature: a number (or a condition, as 1 and 0) or, of other values, a category.

        Args:
            name: what it is called; no other feature may be.
            values: one for each row, in order; missing ones are allowed.
            meaning: what it says of a customer: shown, and kept with the model.
            origin: the columns and features that it is made of.
            table: the table that it came with; by default it is computed here.

        Raises:
            ValueError: there is a feature of that name, or there are more or fewer values
                than rows.
        """
        if name in self._about:
            raise ValueError(f"there is a feature {name!r} already, of {self._about[name].table}")
        if len(values) != self._rows:
            raise ValueError(
                f"{name!r} has {len(values):,} values, not one for {self._rows:,} rows"
            )
        is_number = pd.api.types.is_numeric_dtype(values)
        self._values[name] = values.astype("float64" if is_number else "str")
        self._about[name] = Feature(name, table, "number" if is_number else "category", meaning)
        self.origins[name] = list(origin)

    def frame(self) -> pd.DataFrame:
        """Return a column for each feature: numbers are float64, categories texts."""
        return _as_frame(self._values)

    def meaning(self, name: str) -> str:
        """Return what a feature says of a customer."""
        return self._about[name].description

    def describe(self) -> list[dict[str, str]]:
        """Return name, table, type and description of each feature, as JSON can hold them."""
        return [asdict(feature) for feature in self._about.values()]

    def from_tables(self, first: str) -> dict[str, str]:
        """Return the table of each feature that comes from another table than the first."""
        tables = {name: about.table for name, about in self._about.items()}
        return {name: table for name, table in tables.items() if table not in (first, DERIVED)}

    def trace(self, name: str) -> set[str]:
        """Return the columns and features that a feature is made of, through others too, with
        itself and its table; of anything else itself.
        """
        if name not in self._about:
            return {name}
        return {*spread_origins([name], self.origins)[name], self._about[name].table}

    def list_dated(self, ages: pd.DataFrame, histories: Mapping[str, Any]) -> list[str]:
        """Return the features that were known when the as-of day began, for their dates say so:
        days since dates of which none is later, and what is made of earlier rows of a history.

        Args:
            ages: of `snapshots.count_days_since`: the `share` that was only known later.
            histories: table -> its facts, among them `time`.
        """
        dated = {str(name) for name in ages.index[ages["share"] == 0]}
        timed = {table for table, facts in histories.items() if facts["time"] is not None}
        return [name for name, one in self._about.items() if name in dated or one.table in timed]

    def set_aside(self, withheld: Collection[str]) -> dict[str, pd.DataFrame]:
        """Take out what is withheld: columns or tables, and the features made of them, through
        others too.

        Returns:
            For each that had features their values, numbers as float64 and categories as texts.
        """
        origins, found = spread_origins(list(self), self.origins), {}
        for one in withheld:
            names = [
                name for name in self if one in origins[name] or one == self._about[name].table
            ]
            if names:
                found[one] = _as_frame({name: self._values.pop(name) for name in names})
            for name in names:
                del self._about[name]
        return found

    def keep(self, trained: Sequence[Mapping[str, str]]) -> None:
        """Keep the features that a model was trained on, in their order (see `describe`).

        Raises:
            GateError: one of them is not there, or is of another table or type; each is named.
        """
        problems = [problem for one in trained for problem in self._find_unfit(Feature(**one))]  # type: ignore[arg-type]
        gate(problems, "The data does not give what the model was trained on")
        names = [one["name"] for one in trained]
        self._values = {name: self._values[name] for name in names}
        self._about = {name: self._about[name] for name in names}

    def _find_unfit(self, trained: Feature) -> Iterator[str]:
        name, there = trained.name, self._about.get(trained.name)
        if there is None or there.table != trained.table:
            what = f" ({trained.description})" if trained.description else ""
            near = suggest(name, [other for other in self if other != name])
            yield f"no feature {name!r}, of {trained.table}{what}{near}"
        elif there.type != trained.type:
            yield f"{name} is no {trained.type}: it holds values of a {there.type}"

    @property
    def renamed(self) -> dict[str, str]:
        """The features that the store has to call otherwise: old name -> new name."""
        return fit_names(self)

    def described(self) -> list[Feature]:
        """Return the features under the names that the store has for them."""
        names = self.renamed
        return [
            Feature(names.get(one.name, one.name), one.table, one.type, one.description)
            for one in self._about.values()
        ]


def find_unfit_names(names: Iterable[str]) -> list[str]:
    """Return a sentence for each name that Feast cannot hold as a feature."""
    names = list(names)
    reasons: dict[str, Callable[[str], object]] = {
        "Feast splits the names of features at ':' and '@'": lambda name: set(name) & {":", "@"},
        "Feast drops columns whose names end in '_y' when it joins": lambda name: name.endswith(
            "_y"
        ),
        "the training set or Feast uses this name itself": lambda name: name in RESERVED,
        "two features have this name": lambda name: names.count(name) > 1,
    }
    return [
        f"{name!r}: {why}"
        for why, holds in reasons.items()
        for name in dict.fromkeys(names)
        if holds(name)
    ]


def fit_names(names: Iterable[str]) -> dict[str, str]:
    """Return another name for each feature whose own Feast cannot hold: old -> new,
    none of them twice.
    """
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


def _as_frame(values: Mapping[str, pd.Series[Any]]) -> pd.DataFrame:
    parts = [each.reset_index(drop=True) for each in values.values()]
    names = pd.Index(list(values), dtype="str")
    return pd.concat(parts, axis=1).set_axis(names, axis=1) if parts else pd.DataFrame()
