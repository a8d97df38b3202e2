"""Columns that must not become features: those that tell the answer too well, name a
customer, or say nothing; measured on the customers whose answer is known.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from churn import vocabulary
from churn.draft.column_types import Seen
from churn.draft.horizon_guess import Ends, Horizon
from churn.draft.keys_and_joins import Key, Keys
from churn.draft.label_guess import Answer
from churn.draft.named_inputs import Project
from churn.draft.table_reading import Table
from churn.leakage import leak_gate, outcome_signs, strength
from churn.tables import repeats

MOST_ROWS = 20_000
Place = tuple[str, str]  # table, column
Ints = npt.NDArray[np.int64]
DOUBTFUL = 0.8  # AUC of one column alone from which on it is worth a look
_TOLD_BY_NAME = 0.75  # AUC that makes a name which speaks of the end certain
_MOST_MODELLED = 60  # columns that the quick model is given, the strongest
_MOST_ROUNDS = 3
_MOST_LATE = 0.01  # share of days after the snapshot
_SPOKEN_OF = 0.6  # AUC from which on a name is asked about, or is that of a model's output
_HAS_ALL = 0.01  # share of rows without a value up to which every customer has one
_MOST_ASKED = 3  # combinations of two columns that are asked about
UNFIT = re.compile(r"[:@]|_y$")
_UNFIT_TOLD = "the feature store cannot hold a name with `:` or `@`, or one that ends in `_y`"
_FEW_IDS = 100


@dataclass(frozen=True)
class Population:
    """Rows of the first table with a known answer.

    Attributes:
        values: typed values, a column a place (table, column), of the tables that have
        a row a customer. churned: the answer. months: months from the begin to the day
        of the snapshot, where a begin date tells them. rows: how many rows each
        customer has in each joined table. groups: a number for each row, the same for
        rows that belong together. all: the number of customers with an answer, and
        `all_churned` of those who churned, before the sample was drawn.
    """

    values: pd.DataFrame
    churned: pd.Series[Any]
    months: pd.Series[Any] | None
    rows: pd.DataFrame
    groups: Ints
    all: int
    all_churned: int

    @cached_property
    def folds(self) -> Ints:
        """The fold of each row, for what is measured of a column."""
        return strength.fold_groups(self.groups)

    @property
    def places(self) -> list[Place]:
        """The columns of `values`."""
        return [(place[0], place[1]) for place in self.values.columns]


def draw_population(
    tables: Sequence[Table],
    keys: Keys,
    answer: Answer | None,
    ends: Ends | None,
    horizon: Horizon | None,
) -> Population | None:
    """Draw the sample, evenly over the first table; none where no answer is known."""
    by_name = {table.name: table for table in tables}
    first = by_name[keys.first.table] if keys.first else tables[0]
    months: pd.Series[Any] | None = None
    if answer:
        source = by_name[answer.table]
        known = _by_column(source, answer)
    elif ends and horizon:
        source = by_name[ends.table]
        known, months = _by_dates(source, ends, horizon)
    else:
        return None
    if source is not first:
        key = next((key for key in keys.others if key.table == source.name), None)
        known = _look_up(known, source, key, first, keys.first)
        months = _look_up(months, source, key, first, keys.first)
    known = known.dropna().astype("int64")
    rows = known.index[:: -(-len(known) // MOST_ROWS)] if len(known) else known.index
    owners = _owners_of_rows(first, keys).loc[known.index]
    all_, all_churned, _ = repeats.count_groups(known.to_numpy(), owners.to_numpy())
    values, counts = _read_places(tables, keys, first, rows)
    return Population(
        values=values,
        churned=known.loc[rows],
        months=months.loc[rows] if months is not None else None,
        rows=counts,
        groups=owners.loc[rows].to_numpy(),
        all=all_,
        all_churned=all_churned,
    )


def _read_places(
    tables: Sequence[Table], keys: Keys, first: Table, rows: pd.Index
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the values of all tables with a row a customer, and the number of rows in
    each joined table, for rows of the first one.
    """
    other_keys = {key.table: key for key in keys.others}
    values: dict[Place, pd.Series[Any]] = {}
    counts: dict[str, pd.Series[Any]] = {}
    for table in tables:
        key = other_keys.get(table.name)
        if table is first:
            for name, seen in table.columns.items():
                values[table.name, name] = _typed(seen, table.frame[name].loc[rows])
        elif key:
            sizes = table.frame.groupby(table.frame[key.column].astype("str").str.strip()).size()
            counts[table.name] = _keys_of_rows(first, keys.first).loc[rows].map(sizes).fillna(0)
            values |= _joined(table, key, first, keys.first, rows) if key.is_unique else {}
    frame = pd.DataFrame(values, index=rows) if values else pd.DataFrame(index=rows)
    return frame, pd.DataFrame(counts, index=rows)


def _by_column(table: Table, answer: Answer) -> pd.Series[Any]:
    texts = table.columns[answer.column].parse(table.frame[answer.column])
    positive = texts.isin([answer.positive, *answer.same])
    is_known = texts.notna() & (
        positive | texts.eq(answer.negative) if answer.negative is not None else True
    )
    return positive.where(is_known)


def _by_dates(
    table: Table, ends: Ends, horizon: Horizon
) -> tuple[pd.Series[Any], pd.Series[Any] | None]:
    as_of = pd.Timestamp(horizon.as_of)
    end = table.columns[ends.end].parse(table.frame[ends.end])
    present, months = end.isna() | (end >= as_of), None
    if ends.begin:
        begin = table.columns[ends.begin].parse(table.frame[ends.begin])
        present &= begin < as_of
        months = (as_of - begin).dt.days / 30.4375
    return (end <= as_of + pd.Timedelta(days=horizon.days)).where(present), months


def _keys_of_rows(table: Table, key: Key | None) -> pd.Series[Any]:
    return (
        table.frame[key.column].astype("str").str.strip()
        if key
        else pd.Series(table.frame.index, table.frame.index)
    )


def _owners_of_rows(table: Table, keys: Keys) -> pd.Series[Any]:
    """Number the rows of the first table: those that belong together have one number."""
    if keys.group:
        texts = table.frame[keys.group].astype("str").str.strip()
    else:
        texts = _keys_of_rows(table, keys.first)
    return pd.Series(repeats.number_groups(texts), index=table.frame.index)


def _look_up(
    values: Any, source: Table, key: Key | None, first: Table, first_key: Key | None
) -> Any:
    """Bring values of another table to the rows of the first."""
    if values is None:
        return None
    if key is None:
        return pd.Series(None, index=first.frame.index, dtype="float64")
    by_key = pd.Series(values.to_numpy(), index=_keys_of_rows(source, key))
    by_key = by_key[~by_key.index.duplicated(keep="last")]
    return pd.Series(
        by_key.reindex(_keys_of_rows(first, first_key)).to_numpy(), index=first.frame.index
    )


def _joined(
    table: Table, key: Key, first: Table, first_key: Key | None, rows: pd.Index
) -> dict[Place, pd.Series[Any]]:
    places = pd.Series(table.frame.index, index=_keys_of_rows(table, key))
    places = places[~places.index.duplicated(keep="last")]
    found = places.reindex(_keys_of_rows(first, first_key).loc[rows])
    joined = {}
    for name, seen in table.columns.items():
        if name != key.column:
            texts = table.frame[name].astype("str").reindex(found.to_numpy())
            joined[table.name, name] = _typed(seen, texts.set_axis(rows))
    return joined


def _typed(seen: Seen, texts: pd.Series[Any]) -> pd.Series[Any]:
    """Give texts their type; a date becomes its days."""
    values = seen.parse(texts)
    if seen.type != "date":
        return values
    return (values - pd.Timestamp("2000-01-01")).dt.total_seconds() / 86400


def seen_at(tables: Sequence[Table], place: Place) -> Seen:
    """Return what was seen of a column."""
    return next(table for table in tables if table.name == place[0]).columns[place[1]]


def as_columns(frame: pd.DataFrame, kept: Sequence[Place]) -> pd.DataFrame:
    """Return columns of a frame under their bare names, made different where two tables
    share one.
    """
    names: Mapping[Place, str] = {place: place[1] for place in kept}
    repeated = {name for name in names.values() if list(names.values()).count(name) > 1}
    return pd.DataFrame(
        {f"{n}_{p[0]}" if n in repeated else n: frame[p] for p, n in names.items()},
        index=frame.index,
    )


@dataclass(frozen=True)
class Mark:
    """A reason why a column is no feature (`is_out`), or why it should be looked at.

    A leak may be told by nothing but its score, and be honest after all. It is `suspect` in
    the params file, where it is out, else a question (`ask`): what is said there is `short`.
    """

    place: Place
    why: str
    is_out: bool
    is_leak: bool = False
    is_told_by_score: bool = False
    said: str = ""

    @property
    def short(self) -> str:
        """What the params file says in `suspect` or `ask`."""
        return self.said or self.why


def mark_useless(tables: Sequence[Table], ids: Mapping[str, str]) -> list[Mark]:
    """Mark the columns that name a customer or a row, say nothing, or cannot be held;
    `ids`: table -> its key.
    """
    found = []
    for table in tables:
        for seen in table.columns.values():
            if ids.get(table.name) == seen.name:
                continue
            why = _why_useless(table, seen)
            if why:
                found.append(Mark((table.name, seen.name), why, is_out=True))
    return found


def _why_useless(table: Table, seen: Seen) -> str | None:
    if not seen.filled or not seen.distinct:
        return "empty"
    if seen.distinct == 1 and not seen.missing:
        return f"the same value in all rows, {seen.counts.index[0]!r}"
    if _is_row_number(table, seen):
        return "counts the rows"
    share = seen.distinct / seen.filled
    if (
        vocabulary.PERSON.search(seen.words)
        and seen.distinct >= min(50, 0.05 * seen.filled)
        and seen.type != "date"
    ):
        return f"names a person or a place to reach one ({seen.distinct:,} values)"
    if _is_id(seen, share):
        return f"an id: {seen.distinct:,} values in {seen.filled:,} rows"
    if seen.type == "category" and share > 0.5 and seen.distinct > 50:
        return f"names single rows: {seen.distinct:,} different values in {seen.filled:,} rows"
    return _UNFIT_TOLD if UNFIT.search(seen.name) else None


def _is_id(seen: Seen, share: float) -> bool:
    """Whether a column names something, each row or a customer, though it is not the key."""
    is_named = bool(vocabulary.IDENTITY.search(seen.words)) and not vocabulary.HOW_MANY.search(
        seen.words
    )
    of_customers = bool(vocabulary.CUSTOMER.search(seen.words))
    if not seen.is_whole or not (is_named or (of_customers and seen.type == "category")):
        return False
    return (share > 0.95 and seen.filled > 50) or (
        is_named and of_customers and seen.distinct > _FEW_IDS
    )


def _is_row_number(table: Table, seen: Seen) -> bool:
    if seen.type != "number" or seen.distinct < seen.filled or seen.filled < 20 or seen.missing:
        return False
    values = seen.parse(table.frame[seen.name])
    steps = values.diff().iloc[1:]
    return bool((steps == 1).mean() > 0.99 and values.min() in (0, 1)) or bool(
        vocabulary.ROW_NUMBER.match(seen.words) and (steps > 0).mean() > 0.95
    )


def mark_late(tables: Sequence[Table], as_of: datetime.date) -> list[Mark]:
    """Mark dates that lie after the day of the snapshot: they were not known then."""
    found = []
    for table in tables:
        for seen in table.columns.values():
            if seen.type == "date" and seen.filled and table.columns:
                late = float((seen.weighted.dropna() >= pd.Timestamp(as_of)).mean())
                if late > _MOST_LATE and not vocabulary.PLANNED.search(seen.words):
                    found.append(_mark_ahead((table.name, seen.name), seen, late))
    return found


def _mark_ahead(place: Place, seen: Seen, late: float) -> Mark:
    """Mark a date of which a share lies after the snapshot: an end that every customer has
    was planned, and may be known long before; so it is asked about.
    """
    if seen.missing_share <= _HAS_ALL and vocabulary.END.search(seen.words):
        why = (
            f"every customer has it, and {late:.0%} of its days lie on the as-of day or later: a "
            "planned end? Allowed by name, the days until then are a feature"
        )
        return Mark(place, why, is_out=False, is_leak=True)
    why = f"{late:.0%} of its days lie on the as-of day or later: not known then"
    return Mark(place, why, is_out=True, is_leak=True)


@dataclass(frozen=True)
class _Score:
    """How well a column tells the answer alone, as an AUC: by its values, and by being
    missing.
    """

    alone: float
    by_absence: float

    @property
    def best(self) -> float:
        return max(self.alone, self.by_absence)

    def __str__(self) -> str:
        if self.by_absence > 0.9 * self.alone and self.by_absence > DOUBTFUL:
            return f"whether it is missing tells the answer: AUC {self.by_absence:.3f}"
        return f"AUC {self.alone:.3f} alone"


def mark_leaks(
    tables: Sequence[Table],
    drawn: Population,
    project: Project,
    answers: Collection[str] = (),
) -> list[Mark]:
    """Mark the columns that are called or shaped as the outcome, or tell the answer too well
    alone, by their values or by being missing.

    Args:
        tables: all tables.
        drawn: the customers.
        project: it declares the AUC above which the run would stop, and ask.
        answers: the columns of the answer.
    """
    found = []
    names = [name for table in tables for name in table.columns]
    of_campaign = outcome_signs.speaks_of_contact(names, answers)
    for place in drawn.places:
        values = drawn.values[place]
        named = outcome_signs.find_why(place[1], of_campaign)
        if values.nunique(dropna=False) >= 2:
            seen = seen_at(tables, place)
            found.append(_judge(place, seen, values, drawn, project, named))
        elif named:
            found.append(Mark(place, named, is_out=True, is_leak=True))
    return [mark for mark in found if mark]


def mark_histories(tables: Sequence[Table], histories: Collection[str]) -> Iterator[Mark]:
    """Yield the columns of tables with many rows a customer that are called as the outcome."""
    for table in tables:
        for name in table.columns if table.name in histories else ():
            words = vocabulary.plain(name)
            if why := outcome_signs.find_why_in_history(words):
                yield Mark((table.name, name), why, is_out=True, is_leak=True)


def _judge(
    place: Place,
    seen: Seen,
    values: pd.Series[Any],
    drawn: Population,
    project: Project,
    named: str | None,
) -> Mark | None:
    churned, folds = drawn.churned, drawn.folds
    score = _Score(
        strength.separate(values, churned, folds), _measure_absence(values, churned, folds)
    )
    certain = _find_certain(seen, values, churned, score) or named
    gate = gate_of(project)
    is_told_by_score = not certain and score.best > gate
    if certain:
        why = certain
    elif is_told_by_score:
        if _may_be_use(seen, score, gate):
            return _doubt(place, seen, score, project)
        why = "tells the answer"
    elif vocabulary.AFTERWARDS.search(seen.words) and score.best >= _TOLD_BY_NAME:
        why = "by its name and values known only afterwards"
    else:
        return _doubt(place, seen, score, project)
    return Mark(place, f"{why} ({score})", True, True, is_told_by_score, why)


def _find_certain(
    seen: Seen, values: pd.Series[Any], churned: pd.Series[Any], score: _Score
) -> str | None:
    """Return why a column is the outcome, or a model's word on it, by more than its score."""
    if seen.type == "category" and seen.distinct <= 6 and _copies(values, churned):
        return "a copy of the answer under another name"
    if vocabulary.SCORED.search(seen.words) and score.alone > _SPOKEN_OF:
        return outcome_signs.MODELLED
    return outcome_signs.describe_shape(values.notna(), churned, "a value", outcome_signs.Shape())


def _may_be_use(seen: Seen, score: _Score, gate: float) -> bool:
    """Whether a column tells much because it says how somebody uses what he pays for: falling
    use is the classic honest sign. A near copy of the answer is none.
    """
    is_use = bool(vocabulary.USE.search(seen.words)) and seen.type == "number"
    return is_use and score.by_absence <= gate and score.alone < leak_gate.NEAR_COPY


def _measure_absence(values: pd.Series[Any], churned: pd.Series[Any], folds: Ints) -> float:
    if not values.isna().any():
        return 0.5
    return strength.separate(values.isna().astype("float64"), churned, folds)


def _doubt(place: Place, seen: Seen, score: _Score, project: Project) -> Mark | None:
    """Ask whether a column was known before, where it tells much, or its name says that
    it was not.
    """
    told = project.default("transformation", "told_auc", DOUBTFUL)
    if score.alone >= (DOUBTFUL if score.by_absence >= DOUBTFUL else told):
        why = "tells much"
    elif vocabulary.AFTERWARDS.search(seen.words) and score.alone >= _SPOKEN_OF:
        why = "its name speaks of the end"
    elif vocabulary.LASTED.fullmatch(seen.words) and score.alone >= _SPOKEN_OF:
        why = "perhaps how long the contact lasted that had the outcome"
    else:
        return None
    return Mark(place, f"{why} ({score}): was it known before?", is_out=False, is_leak=True)


def gate_of(project: Project) -> float:
    """Return the AUC of one column alone above which a run would stop."""
    return project.default("transformation", "max_single_auc", 0.92)


def _copies(values: pd.Series[Any], churned: pd.Series[Any]) -> bool:
    """Whether each value means one of the two answers, in nearly all rows."""
    table = pd.crosstab(values.fillna("missing").astype("str"), churned)
    agreeing = table.max(axis=1).sum() / max(table.to_numpy().sum(), 1)
    return bool(agreeing >= 0.99 and table.idxmax(axis=1).nunique() == 2)


def mark_pairs(
    tables: Sequence[Table], drawn: Population, kept: Sequence[Place], project: Project
) -> list[Mark]:
    """Mark the numbers that together with another one, or a duration, tell the answer: out is
    what counts periods to another day than that of the snapshot; the others are asked about.
    """
    limits = leak_gate.Limits(
        told=project.default("transformation", "told_auc", DOUBTFUL),
        single=project.default("transformation", "max_single_auc", 1),
        pair=project.default("transformation", "max_pair_auc", 1),
        pair_gain=project.default("transformation", "min_pair_gain", 0.1),
    )
    numbers = [place for place in kept if seen_at(tables, place).type != "category"]
    found: list[Mark] = []
    for _ in range(_MOST_ROUNDS):  # a second number may tell the same
        left = [place for place in numbers if all(place != mark.place for mark in found)]
        pairs = _find_pairs(tables, drawn, left, limits)
        leaks = [mark for mark in pairs if mark.is_out]
        if not leaks:
            return [*found, *pairs[:_MOST_ASKED]]
        found.append(leaks[0])
    return found


def _find_pairs(
    tables: Sequence[Table], drawn: Population, numbers: Sequence[Place], limits: leak_gate.Limits
) -> list[Mark]:
    frame = as_columns(drawn.values, numbers)
    places = dict(zip(frame.columns, numbers, strict=True))
    spans = {} if drawn.months is None else {"the months": drawn.months}
    durations = [name for name in places if _is_duration(seen_at(tables, places[name]))]
    spans |= {
        name: frame[name] for name in durations if drawn.months is None or places[name][1] != name
    }
    single = strength.separate_each(frame, drawn.churned, drawn.folds)
    pairs = strength.separate_pairs(frame, spans, drawn.churned, drawn.folds)
    strong = [one for one in leak_gate.find_suspects(single, pairs, limits) if one.is_pair]
    return [_blame(one, places) for one in strong if any(name in places for name in one.columns)]


def _is_duration(seen: Seen) -> bool:
    return seen.type == "date" or bool(vocabulary.TENURE.search(seen.words))


def _blame(suspect: leak_gate.Suspect, places: Mapping[str, Place]) -> Mark:
    """Mark the column of a combination that counts something up, else the first."""
    named = [name for name in suspect.columns if name in places]
    name = next(
        (name for name in named if vocabulary.TOTAL.search(vocabulary.plain(name))), named[0]
    )
    if not suspect.stops:
        told = f"tells much in `{suspect.name}` (AUC {suspect.auc:.3f})"
        return Mark(places[name], f"{told}: are both known before?", is_out=False, is_leak=True)
    why = f"gives the answer away in `{suspect.name}` (AUC {suspect.auc:.3f})"
    return Mark(places[name], why, is_out=True, is_leak=True)


def measure(drawn: Population, kept: Sequence[Place], project: Project) -> tuple[str, float, float]:
    """Return the kept column that tells most alone with its AUC, and the AUC of a quick
    model of them all.
    """
    frame = as_columns(drawn.values, list(kept))
    most = int(project.default("transformation", "leak_check_customers", 10_000))
    rows = strength.choose_rows(drawn.churned, most)
    frame, churned, groups = (
        frame.iloc[rows].reset_index(drop=True),
        drawn.churned.iloc[rows].reset_index(drop=True),
        drawn.groups[rows],
    )
    alone = strength.separate_each(frame, churned, strength.fold_groups(groups))["AUC"]
    folds = strength.fold_groups(groups, leak_gate.FOLDS)
    with threadpool_limits(1):  # threads that wait for each other are slower on so few rows
        model = leak_gate.score_quickly(frame[list(alone.index[:_MOST_MODELLED])], churned, folds)
    return str(alone.index[0]), float(alone.iloc[0]), model


def find_outcome_tables(drawn: Population) -> dict[str, str]:
    """Return the tables in which those who left have a row, and hardly anybody else, each with
    why: cancellations, exit interviews.
    """
    shapes = {
        str(table): outcome_signs.describe_shape(
            drawn.rows[table] > 0, drawn.churned, "a row", outcome_signs.Shape()
        )
        for table in drawn.rows.columns
    }
    return {table: why for table, why in shapes.items() if why}


def judge_rows(drawn: Population, gate: float) -> Iterator[tuple[str, str]]:
    """Yield the tables whose number of rows a customer tells the answer too well, with a
    question.
    """
    for table in drawn.rows.columns:
        auc = strength.separate(drawn.rows[table], drawn.churned, drawn.folds)
        if auc > gate:
            yield (
                str(table),
                f"{table}: how many rows a customer has there tells the answer (AUC {auc:.3f}): do "
                "they go on until "
                "today, and is as_of earlier?",
            )
