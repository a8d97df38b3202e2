"""What the texts of one column show: its type, how missing values are written, its spellings, its range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from draft import dates, numbers, words
from draft.numbers import Decimal

MOST_LISTED = 20  # values of a category that are listed
_LONGEST_LIST = 200  # characters
_MOST_LOOKED_AT = 200_000  # rows


@dataclass
class Seen:
    """What was seen of a column.

    Attributes:
        type: `number`, `date` or `category`.
        rows: how many rows were looked at.
        missing: how many of them have no value: blank, or one of `none`.
        distinct: number of different values.
        counts: the number of rows with each text, the most frequent first; without blanks and `none`.
        none: texts that mean that there is no value.
        codes: other spellings -> the most frequent one.
        swapped: a format with day and month the other way round that would read all its dates too.
        unreadable: texts that are not of the type, and in how many rows they stand.
        remarks: what an analyst should know of it.
    """

    name: str
    type: Literal["number", "date", "category"]
    rows: int
    missing: int
    counts: pd.Series[Any]
    none: list[str] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)
    format: str = dates.ISO
    decimal: Decimal = "."
    swapped: str | None = None
    unreadable: list[str] = field(default_factory=list)
    unreadable_rows: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def distinct(self) -> int:
        """The number of different values, as they are spelled."""
        return len(self.counts)

    @property
    def filled(self) -> int:
        """The number of rows with a value."""
        return self.rows - self.missing

    @property
    def missing_share(self) -> float:
        """The share of the rows without a value."""
        return self.missing / max(self.rows, 1)

    @property
    def words(self) -> str:
        """The column's name as plain words."""
        return words.plain(self.name)

    @property
    def texts(self) -> list[str]:
        """The different values after spelling, in their order in the alphabet; of numbers by size."""
        texts = sorted({self.codes.get(text, text) for text in self.counts.index})
        if all(text.lstrip("-").isdecimal() for text in texts):
            return sorted(texts, key=int)
        return texts

    @property
    def is_listed(self) -> bool:
        """Whether its values are few enough to be listed."""
        return self.type == "category" and self.distinct <= MOST_LISTED and len(", ".join(self.texts)) <= _LONGEST_LIST

    @property
    def is_whole(self) -> bool:
        """Whether it is a column of whole numbers, or of texts, so that it could name something."""
        if self.type == "date" or not len(self.counts):
            return False
        return self.type == "category" or bool(self.numbers.mod(1).eq(0).all())

    @property
    def numbers(self) -> pd.Series[Any]:
        """The different values of a number, one an entry of `counts`."""
        return numbers.parse_numbers(pd.Series(self.counts.index, dtype="str"), self.decimal)

    @property
    def days(self) -> pd.Series[Any]:
        """The different values of a date, one an entry of `counts`."""
        return dates.parse_dates(pd.Series(self.counts.index, dtype="str"), self.format)

    def parse(self, texts: pd.Series[Any]) -> pd.Series[Any]:
        """Give texts of this column their type; what has no value is missing."""
        stripped = texts.astype("str").str.strip()
        cleaned = stripped.mask(stripped.isin(["", *self.none])).replace(self.codes)
        if self.type == "number":
            return numbers.parse_numbers(cleaned, self.decimal)
        return dates.parse_dates(cleaned, self.format) if self.type == "date" else cleaned


def look_at(frame: pd.DataFrame, delimiter: str = ",") -> dict[str, Seen]:
    """Describe each column of a table of texts; of a large table as many rows as are enough, from all over it."""
    step = -(-len(frame) // _MOST_LOOKED_AT)
    seen = {name: look_at_column(name, frame[name].iloc[::step]) for name in frame.columns}
    _settle_decimals(seen, has_semicolons=delimiter == ";")
    _settle_dates(seen)
    return seen


def look_at_column(name: str, texts: pd.Series[Any]) -> Seen:
    """Describe one column of texts."""
    counts = texts.astype("str").str.strip().value_counts()
    counts = counts[counts.index != ""].sort_index(kind="stable").sort_values(ascending=False, kind="stable")
    seen = Seen(name, "category", len(texts), len(texts) - int(counts.sum()), counts)
    if counts.empty:
        return seen
    for read in (_as_date, _as_number):
        if read(seen):
            return seen
    _as_category(seen)
    return seen


def _as_date(seen: Seen) -> bool:
    different = pd.Series(seen.counts.index, dtype="str")
    named_so = bool(words.DAY.search(seen.words) or words.END.search(seen.words) or words.BEGIN.search(seen.words))
    found = dates.find_format(different, named_so)
    if found is None:
        return False
    if not _part_unreadable(seen, found.unreadable, fewest=1):
        return False
    seen.type, seen.format, seen.swapped = "date", found.format, found.other
    return True


def _as_number(seen: Seen) -> bool:
    different = pd.Series(seen.counts.index, dtype="str")
    decimal, _ = numbers.find_decimal(different)
    readable = numbers.is_number(different, decimal)
    if readable.sum() < 1 or _is_code(different[readable]):
        return False
    if not _part_unreadable(seen, list(different[~readable]), also=words.ALSO_MISSING_AMONG_NUMBERS):
        return False
    is_code = words.CODE.search(seen.words) and not words.COUNTED.search(seen.words)
    if len(seen.counts) <= 2 or (is_code and bool(seen.numbers.mod(1).eq(0).all())):
        return False  # two values, or the numbers of something, are no measure
    seen.type, seen.decimal = "number", decimal
    _find_stand_ins(seen)
    return True


def _is_code(texts: pd.Series[Any]) -> bool:
    """Whether numbers are codes: with leading zeros, or with more digits than a number keeps."""
    return bool(texts.str.match(r"^0\d+$").any() or texts.str.match(r"^\d{16,}$").any())


def _part_unreadable(
    seen: Seen, unreadable: list[str], also: frozenset[str] = frozenset(), fewest: int = 10
) -> bool:
    """Tell texts that mean `none` from others that are not of the type; false if there are too many of those."""
    none = [text for text in unreadable if words.means_missing(text) or words.without_accents(text) in also]
    others = [text for text in unreadable if text not in none]
    rows = int(seen.counts.sum())
    readable = len(seen.counts) - len(unreadable)
    frequent = [text for text in others if seen.counts[text] > 1 and seen.counts[text] >= 0.005 * rows]
    if len(others) == len(frequent) <= 3 and readable > max(fewest, len(frequent)):
        none, others = none + frequent, []  # such as `No` for the end date of those who are still there
    if int(seen.counts[others].sum()) > 0.03 * rows or readable < 1:
        return False
    seen.none, seen.unreadable, seen.unreadable_rows = sorted(none), others, int(seen.counts[others].sum())
    _set_missing(seen, none)
    seen.counts = seen.counts.drop(others)
    if others:
        shown = ", ".join(map(repr, others[:3])) + (" …" if len(others) > 3 else "")
        seen.remarks.append(f"cannot be read: {shown}")
    return True


def _set_missing(seen: Seen, none: list[str]) -> None:
    seen.missing += int(seen.counts[none].sum())
    seen.counts = seen.counts.drop(none)


def _find_stand_ins(seen: Seen) -> None:
    """Notice numbers that stand for `unknown`; act on them only where it is certain."""
    weighted = pd.Series(seen.numbers.repeat(seen.counts.to_numpy()).to_numpy())
    found = numbers.find_stand_in(weighted)
    if found:
        value, times, is_sure = found
        if is_sure:
            spelled = numbers.spelled(seen.counts.index, value, seen.decimal)
            seen.none = sorted({*seen.none, *spelled})
            _set_missing(seen, spelled)
            seen.remarks.append(f"{numbers.show(value)} stands far from all others ({times:,} rows): taken for missing")
        else:
            seen.remarks.append(f"may {numbers.show(value)} mean missing? ({times:,} rows)")
    elif zeros := numbers.find_zeros(weighted):
        seen.remarks.append(f"may 0 mean missing? ({zeros:,} rows; the next is {numbers.show(weighted[weighted > 0].min())})")


def _as_category(seen: Seen) -> None:
    none = [text for text in seen.counts.index if words.means_missing(text)]
    others = [text for text in seen.counts.index if text not in none]
    if others and max(map(len, others)) <= 2 and "NA" in none:  # a code, such as that of a country, among others
        none.remove("NA")
    if not others or (len(others) == 1 and set(none) <= {"-", "*", "."}):
        none = []  # `-` beside `+`, and the like
    seen.none = sorted(none)
    _set_missing(seen, none)
    if seen.distinct <= 10 * MOST_LISTED:
        seen.codes = find_spellings(dict(seen.counts))


def find_spellings(counts: Mapping[str, int]) -> dict[str, str]:
    """Return other spellings of a value -> the most frequent one: other cases, spaces, hyphens, accents."""
    usual: dict[str, str] = {}
    codes: dict[str, str] = {}
    for text in counts:  # the most frequent first
        key = "".join(character for character in words.without_accents(text) if character.isalnum()) or text
        if usual.setdefault(key, text) != text:
            codes[text] = usual[key]
    return codes


def _settle_decimals(seen: Mapping[str, Seen], *, has_semicolons: bool) -> None:
    """Read `1,234` like the numbers of the other columns, where it may be both."""
    texts = {one.name: pd.Series(one.counts.index, dtype="str") for one in seen.values() if one.type == "number"}
    judged = {name: numbers.find_decimal(column) for name, column in texts.items()}
    has_comma = any(sign == "," for sign, _ in judged.values())
    has_point = any(is_sure and texts[name].str.contains(".", regex=False).any() for name, (_, is_sure) in judged.items())
    for name, (_, is_sure) in judged.items():
        if not is_sure and (has_comma or (has_semicolons and not has_point)) and numbers.could_be_comma(texts[name]):
            seen[name].decimal = ","
            seen[name].remarks.append("may the comma group digits? It is taken for the decimal sign")


def _settle_dates(seen: Mapping[str, Seen]) -> None:
    """Read day and month in the order that the other dates of the table show."""
    certain = {one.format for one in seen.values() if one.type == "date" and not one.swapped}
    for one in (one for one in seen.values() if one.swapped):
        if one.swapped in certain and one.format not in certain:
            one.format = one.swapped
        elif one.format not in certain:
            one.remarks.append(f"day and month may be swapped: {one.swapped} would read it too")
