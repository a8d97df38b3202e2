"""When customers have rows in the table of a label from inactivity: who is a customer on a
day, and who is not seen again.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.params import InactivityLabel, Params
from churn.tables.encoded import Bools, Ints, Series
from churn.tables.files import read_table


@dataclass(frozen=True)
class Activity:
    """The times at which customers have rows.

    Attributes:
        customers: the ids of the customers, each once.
        owner: of each row the position of its customer among them, -1 of nobody's.
        times: of each row its time (datetime64), NaT where it is not known.
    """

    customers: pd.Index
    owner: Ints
    times: npt.NDArray[Any]

    @classmethod
    def of_rows(cls, rows: pd.DataFrame, customers: pd.Series[Any], time: str) -> Activity:
        """Return the activity of customers in the rows of a typed table, whose column with
        the id is called like theirs.
        """
        ids = pd.Index(customers.unique())
        owner = ids.get_indexer(pd.Index(rows[str(customers.name)]))
        return cls(ids, owner.astype(np.int64), rows[time].to_numpy())

    @property
    def last_day(self) -> pd.Timestamp:
        """The day of the last row that is known; NaT where there is none."""
        return pd.Timestamp(pd.Series(self.times).dt.normalize().max())

    def between(self, start: datetime.date, end: datetime.date) -> Bools:
        """Say of each customer whether a row lies in `[start, end)`, midnight to midnight."""
        within = self.times >= pd.Timestamp(start).to_datetime64()
        within &= self.times < pd.Timestamp(end).to_datetime64()
        found = np.zeros(len(self.customers) + 1, dtype=bool)
        found[self.owner[within]] = True
        return found[:-1]  # the last place is nobody's

    def before(self, day: datetime.date, label: InactivityLabel) -> Bools:
        """Say of each customer whether they are one on a day: they have a row in the days
        before.
        """
        return self.between(day - datetime.timedelta(days=label.days_before), day)

    def after(self, day: datetime.date, label: InactivityLabel) -> Bools:
        """Say of each customer whether they are seen again, in the horizon from a day on."""
        return self.between(day, day + datetime.timedelta(days=label.inactive_days))

    def judge(
        self, customers: pd.Series[Any], as_of: pd.Series[Any], label: InactivityLabel
    ) -> tuple[Series, Series]:
        """Say of each customer and as-of day whether they are a customer then, and whether
        they are seen again.
        """
        place = self.customers.get_indexer(pd.Index(customers))
        is_customer, is_seen = np.zeros((2, len(place)), dtype=bool)
        for day in map(pd.Timestamp, as_of.dropna().unique()):
            rows = np.flatnonzero(as_of == day)
            is_customer[rows] = self.before(day, label)[place[rows]]
            is_seen[rows] = self.after(day, label)[place[rows]]
        return (
            pd.Series(is_customer, index=customers.index),
            pd.Series(is_seen, index=customers.index),
        )


def read_activity(prepared_dir: str, customers: pd.Series[Any], params: Params) -> Activity | None:
    """Read the activity of customers from the histories of a prepared dataset; None where
    the label is made of something else.
    """
    label = params.label
    if not isinstance(label, InactivityLabel):
        return None
    rows = read_table(f"{prepared_dir}/histories", label.table)
    return Activity.of_rows(rows, customers, str(params.sources[label.table].time))
