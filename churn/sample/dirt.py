"""The usual dirt of real tables, in known amounts: every kind strikes rows of its own,
so that it can be counted again.

Of two rows of one customer the later one holds: an exact duplicate says the same twice,
a conflicting duplicate is an outdated row (another payment method and price, another
partner) that stands before the valid one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from churn.sample.clean_tables import Table, Texts, money, orphan_ids
from churn.sample.customers import ADDONS, PAYMENTS, Bools, Floats, Ints

Counts = dict[str, int]

# Rows struck for each 10,000 customers, rounded up over the whole table: every kind is
# there even at 1,000 customers.
RATES: dict[str, Counts] = {
    "contract": {
        "exact_duplicate": 30,
        "conflicting_duplicate": 30,
        "blank_TotalCharges": 50,
        "blank_PaymentMethod": 50,
        "odd_code": 60,
        "trailing_space": 30,
        "thousands_separator": 40,
        "negative_MonthlyCharges": 10,
        "begin_after_end": 10,
    },
    "personal": {
        "exact_duplicate": 30,
        "conflicting_duplicate": 30,
        "blank_gender": 50,
        "odd_code": 60,
        "trailing_space": 20,
        "missing": 30,
        "orphan": 20,
    },
    "internet": {"odd_code": 60, "trailing_space": 40, "orphan": 30},
    "phone": {"odd_code": 60, "trailing_space": 40, "orphan": 30},
}
PER = 10_000
BLANKS = ("", " ")
ODD_CODES = {"Month-to-month": ("month-to-month", "MTM"), "Yes": ("yes", "Y"), "No": ("N",)}
CODED = {
    "contract": ("Type", "PaperlessBilling"),
    "personal": ("Partner", "Dependents"),
    "internet": ADDONS,
    "phone": ("MultipleLines",),
}
SPACED = {
    "contract": ("Type", "PaymentMethod"),
    "personal": ("gender",),
    "internet": ("InternetService",),
    "phone": ("MultipleLines",),
}


def add_dirt(tables: dict[str, Table], seed: int, block: int, first: int) -> dict[str, Counts]:
    """Strike the tables of one block and shuffle their rows, in place; returns how many
    rows each kind has struck.

    `first` is the number of the block's first customer; the block's own contract table
    says how many there are.
    """
    stop = first + len(tables["contract"]["customerID"])
    struck: dict[str, Counts] = {}
    for place, (name, rates) in enumerate(RATES.items(), start=1):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(block, place)))
        quotas = {kind: _quota(rate, stop) - _quota(rate, first) for kind, rate in rates.items()}
        orphans = orphan_ids(seed, block, quotas.pop("orphan", 0))
        part = _Part(name, tables[name], rng)
        struck[name] = {kind: part.strike(kind, quota) for kind, quota in quotas.items()}
        if "orphan" in rates:
            struck[name]["orphan"] = part.add_orphans(orphans)
        tables[name] = part.shuffle()
    return struck


def _quota(rate: int, customers: int) -> int:
    return -(-rate * customers // PER)


class _Part:
    """One table of one block while it is being struck; a row is struck at most once."""

    def __init__(self, name: str, table: Table, rng: np.random.Generator) -> None:
        self.name, self.table, self.rng = name, table, rng
        self.clean: Bools = np.ones(len(table["customerID"]), dtype=np.bool_)
        self.kept = self.clean.copy()
        self.places: Floats = rng.random(len(self.clean))
        self.copies: list[Table] = []
        self.places_of_copies: list[Floats] = []

    def strike(self, kind: str, quota: int) -> int:
        """Strike up to `quota` clean rows; fewer where the last block is too small.
        Returns how many.
        """
        eligible = np.flatnonzero(
            self.clean & _ELIGIBLE[kind](self.table) if kind in _ELIGIBLE else self.clean
        )
        rows = self.rng.choice(eligible, min(quota, len(eligible)), replace=False)
        self.clean[rows] = False
        _STRIKES[kind](self, rows)
        return len(rows)

    def add_orphans(self, ids: Texts) -> int:
        """Add rows of customers that no contract knows, with the values of clean rows.
        Returns how many.
        """
        models = np.flatnonzero(self.clean)
        if not len(models):
            return 0
        self.copy(self.rng.choice(models, len(ids)), self.rng.random(len(ids)), {"customerID": ids})
        return len(ids)

    def copy(self, rows: Ints, places: Floats, changed: Mapping[str, Texts]) -> None:
        """Add copies of rows at places of the random order (0 first, 1 last), some columns
        changed.
        """
        self.copies.append(
            {name: column[rows] for name, column in self.table.items()} | dict(changed)
        )
        self.places_of_copies.append(places)

    def shuffle(self) -> Table:
        """Return the rows that are kept and the copies, in the order of their places."""
        order = np.argsort(np.concatenate([self.places[self.kept], *self.places_of_copies]))
        return {
            name: np.concatenate([column[self.kept], *(copy[name] for copy in self.copies)])[order]
            for name, column in self.table.items()
        }

    def draw(self, words: tuple[str, ...], size: int) -> Texts:
        """Draw words, each as likely as the other."""
        return np.array(words, dtype=object)[self.rng.integers(len(words), size=size)]


def _copy_exactly(part: _Part, rows: Ints) -> None:
    part.copy(rows, part.rng.random(len(rows)), {})


def _contradict(part: _Part, rows: Ints) -> None:
    outdated = _outdated_person if part.name == "personal" else _outdated_contract
    part.copy(rows, part.places[rows] * part.rng.random(len(rows)), outdated(part.table, rows))


def _outdated_person(table: Table, rows: Ints) -> Table:
    return {"Partner": np.where(table["Partner"][rows] == "Yes", "No", "Yes").astype(object)}


def _outdated_contract(table: Table, rows: Ints) -> Table:
    following = dict(zip(PAYMENTS, (*PAYMENTS[1:], PAYMENTS[0]), strict=True))
    payments = [following[payment] for payment in table["PaymentMethod"][rows]]
    cents = np.rint(table["MonthlyCharges"][rows].astype(np.float64) * 95).astype(np.int64)
    return {"MonthlyCharges": money(cents), "PaymentMethod": np.array(payments, dtype=object)}


def _blank(part: _Part, rows: Ints, column: str) -> None:
    part.table[column][rows] = part.draw(BLANKS, len(rows))


def _write_odd_codes(part: _Part, rows: Ints) -> None:
    columns = CODED[part.name]
    for row, drawn in zip(rows, part.draw(columns, len(rows)), strict=True):
        values = part.table[drawn if part.table[drawn][row] in ODD_CODES else columns[-1]]
        values[row] = part.draw(ODD_CODES[values[row]], 1)[0]


def _append_space(part: _Part, rows: Ints) -> None:
    for row, column in zip(rows, part.draw(SPACED[part.name], len(rows)), strict=True):
        part.table[column][row] += " "


def _separate_thousands(part: _Part, rows: Ints) -> None:
    totals = part.table["TotalCharges"]
    totals[rows] = [f"{float(total):,.2f}" for total in totals[rows]]


def _negate_charge(part: _Part, rows: Ints) -> None:
    part.table["MonthlyCharges"][rows] = "-" + part.table["MonthlyCharges"][rows]


def _swap_dates(part: _Part, rows: Ints) -> None:
    begin, end = part.table["BeginDate"], part.table["EndDate"]
    begin[rows], end[rows] = end[rows], begin[rows]


def _drop(part: _Part, rows: Ints) -> None:
    part.kept[rows] = False


def _has_thousands(table: Table) -> Bools:
    return np.char.str_len(table["TotalCharges"].astype("U12")) >= len("1000.00")


def _has_ended(table: Table) -> Bools:
    return np.asarray(table["EndDate"] != "No", dtype=np.bool_)


_STRIKES: dict[str, Callable[[_Part, Ints], None]] = {
    "exact_duplicate": _copy_exactly,
    "conflicting_duplicate": _contradict,
    "blank_TotalCharges": partial(_blank, column="TotalCharges"),
    "blank_PaymentMethod": partial(_blank, column="PaymentMethod"),
    "blank_gender": partial(_blank, column="gender"),
    "odd_code": _write_odd_codes,
    "trailing_space": _append_space,
    "thousands_separator": _separate_thousands,
    "negative_MonthlyCharges": _negate_charge,
    "begin_after_end": _swap_dates,
    "missing": _drop,
}
_ELIGIBLE: dict[str, Callable[[Table], Bools]] = {
    "thousands_separator": _has_thousands,
    "begin_after_end": _has_ended,
}
