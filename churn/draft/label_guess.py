"""Which column holds the answer, and which of its values means `has churned`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from churn import vocabulary
from churn.draft.column_types import Seen
from churn.draft.named_inputs import DraftError
from churn.draft.table_reading import Table, find_column
from churn.params import suggest
from churn.vocabulary import LIKELY, SURE, rate_label_name

_MOST_VALUES = 6  # an answer with more of them is a reason, or a category
_MOST_SPELLINGS = 20  # of these values
_MOST_OTHERS = 0.05  # share of the rows that may say neither yes nor no: totals, `pending`
_OFTEN_EMPTY = 0.05  # share of the rows from which on it is said of a candidate
_MOST_SHOWN = 20  # values that a message lists
_MEASURED = re.compile(r"-?\d{2,}(?:[.,]\d+)?")  # two years, prices or days answer no question

# How much the values of a column speak for it, beside its name (`rate_label_name`):
_VALUES_SAY_SO = SURE  # they name leaving or staying, so that the name need not
_YES_AND_NO = 0.5  # of what, only the name can tell
_ANY_TWO = 0.0


@dataclass(frozen=True)
class Answer:
    """A column that may be the label.

    Attributes:
        negative: the value that means `has stayed`, where there are more than two.
        same: other values that mean the same as `positive`.
        rest: values that mean neither.
        strength: how much name and values speak for it; `SURE` and more leaves no doubt.
        why: what does.
    """

    table: str
    column: str
    positive: str
    negative: str | None = None
    same: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    strength: float = 0.0
    why: str = ""


def find_answers(tables: Iterable[Table]) -> list[Answer]:
    """Return the columns that may be the label, the likeliest first."""
    found = [
        answer
        for table in tables
        for seen in table.columns.values()
        if (answer := _rate_column(table.name, seen))
    ]
    return sorted((one for one in found if one.strength >= LIKELY), key=lambda one: -one.strength)


def list_candidates(tables: Iterable[Table]) -> list[str]:
    """Describe each column that may be the label: those that are called so, whatever
    they hold, then those of two.
    """
    columns = [seen for table in tables for seen in table.columns.values() if seen.filled]
    named = [
        seen for seen in columns if seen.distinct > 1 and vocabulary.LEAVING.search(seen.words)
    ]
    binary = [seen for seen in columns if seen.distinct == 2 and seen.type == "category"]
    others = [seen for seen in binary if not vocabulary.LEAVING.search(seen.words)]
    return [
        _describe_candidate(seen)
        for seen in [*named, *others]
        if not vocabulary.PERSON.search(seen.words)
    ]


def _describe_candidate(seen: Seen) -> str:
    is_often_empty = seen.missing_share >= _OFTEN_EMPTY
    empty = f"; empty in {seen.missing_share:.0%} of the rows" if is_often_empty else ""
    if len(seen.texts) > _MOST_VALUES:
        return f"{seen.name} ({seen.distinct:,} values{empty})"
    shares = ", ".join(f"{text} {share_of(seen, text):.0%}" for text in seen.texts)
    return f"{seen.name} ({shares}{empty})"


def choose_answer(tables: list[Table], wish: str) -> Answer:
    """Return the label that `--label COLUMN[=POSITIVE]` names.

    Raises:
        DraftError: there is no such column or value; the message suggests the nearest.
    """
    named, equals, positive = wish.partition("=")
    table, seen = find_column(tables, named, "--label")
    seen.type = "category"  # answers are texts, whatever they look like
    if not equals:
        answer = _read_values(table.name, seen)
        if answer is None:
            shown = ", ".join(map(str, seen.counts.index[:5]))
            raise DraftError(
                f"--label {named}: {seen.name} has {seen.distinct:,} values ({shown}…); "
                f"say which one means `has churned`: --label {named}=VALUE"
            )
        return answer
    values = {text.casefold(): text for text in seen.texts}
    if positive.casefold() not in values:
        near = suggest(positive, seen.texts[:_MOST_SHOWN])
        raise DraftError(f"--label {named}={positive}: {seen.name} has no value {positive!r}{near}")
    positive = values[positive.casefold()]
    return Answer(table.name, seen.name, positive, strength=SURE, why="as --label says")


def _rate_column(table: str, seen: Seen) -> Answer | None:
    """Return a column as an answer if its name, or its values, speak for it at all."""
    is_short = seen.distinct <= _MOST_SPELLINGS and 2 <= len(seen.texts) <= _MOST_VALUES
    if seen.type != "category" or not is_short:
        return None
    by_name, answer = rate_label_name(seen.words), _read_values(table, seen)
    if answer is None or (by_name == 0 and answer.strength < SURE):
        return None
    why = [f"the name {seen.name}"] if by_name else []
    why += [answer.why] if answer.why else []
    strength = by_name + answer.strength
    return dataclasses.replace(answer, strength=strength, why=" and ".join(why))


def _read_values(table: str, seen: Seen) -> Answer | None:
    """Read which of the values means that a customer has left."""
    texts = seen.texts
    words = {text: vocabulary.plain(text) for text in texts}
    leaving = [text for text in texts if vocabulary.LEAVING.search(words[text])]
    others = [text for text in texts if text not in leaving]
    staying = [text for text in others if vocabulary.STAYING.search(words[text])]
    if len(texts) > 2:
        return _read_several(table, seen, leaving, staying)
    if len(texts) < 2:
        return None
    if len(leaving) == 1 or len(staying) == 1:
        positive = leaving[0] if leaving else next(text for text in texts if text not in staying)
        why = f"the values {' and '.join(texts)}"
        return Answer(table, seen.name, positive, strength=_VALUES_SAY_SO, why=why)
    return _read_two(table, seen, texts)


def _read_several(table: str, seen: Seen, leaving: list[str], staying: list[str]) -> Answer | None:
    """Take the most frequent values of leaving and of staying for the answer; of the
    others of leaving it is said that they mean the same, of the rest that they mean neither.
    """
    if not leaving or not staying or len(seen.texts) > _MOST_VALUES:
        return _read_yes_and_no(table, seen)
    positive, *same = sorted(leaving, key=lambda text: -_count_rows(seen, text))
    stayed = max(staying, key=lambda text: _count_rows(seen, text))
    rest = [text for text in seen.texts if text not in leaving and text != stayed]
    return Answer(
        table,
        seen.name,
        positive,
        negative=stayed if rest else None,
        same=same,
        rest=rest,
        strength=_VALUES_SAY_SO,
        why=f"the values {', '.join(seen.texts)}",
    )


def _read_yes_and_no(table: str, seen: Seen) -> Answer | None:
    """Take one yes and one no for the answer where a few rows say something else: a
    line of totals, `pending`.
    """
    said = [text for text in seen.texts if vocabulary.bare(text) in vocabulary.YES | vocabulary.NO]
    rest = [text for text in seen.texts if text not in said]
    answer = _read_two(table, seen, said) if len(said) == 2 else None
    rows = sum(_count_rows(seen, text) for text in rest)
    if answer is None or answer.strength < _YES_AND_NO or rows > _MOST_OTHERS * seen.filled:
        return None
    other = next(text for text in said if text != answer.positive)
    return dataclasses.replace(answer, negative=other, rest=rest)


def _read_two(table: str, seen: Seen, texts: list[str]) -> Answer | None:
    """Read yes and no, which turn round where the name is one of staying; of any other two
    values the rarer one means, as a guess, that somebody left.
    """
    yes = [text for text in texts if vocabulary.bare(text) in vocabulary.YES]
    no = [text for text in texts if vocabulary.bare(text) in vocabulary.NO]
    if len(yes) == len(no) == 1 and yes != no:
        positive = no[0] if _is_of_staying(seen) else yes[0]
        why = f"the values {no[0]} and {yes[0]}"
        return Answer(table, seen.name, positive, strength=_YES_AND_NO, why=why)
    if all(_MEASURED.fullmatch(text) for text in texts):
        return None
    rarer = min(texts, key=lambda text: (_count_rows(seen, text), text))
    why = f"{rarer} is the rarer of its values: a guess"
    return Answer(table, seen.name, rarer, strength=_ANY_TWO, why=why)


def _is_of_staying(seen: Seen) -> bool:
    """Whether the name asks who is still there, so that `no` means that somebody left."""
    says_so = vocabulary.STAYING.search(seen.words) or vocabulary.STANDING.fullmatch(seen.words)
    return bool(says_so) and not vocabulary.LEAVING.search(seen.words)


def _count_rows(seen: Seen, text: str) -> int:
    spelled = [other for other, usual in seen.codes.items() if usual == text]
    return int(seen.counts.reindex([text, *spelled]).fillna(0).sum())


def share_of(seen: Seen, text: str) -> float:
    """Return the share of a value, in all its spellings, of the rows that have one."""
    return _count_rows(seen, text) / max(seen.filled, 1)


def describe_values(seen: Seen, most: int = 4) -> str:
    """Describe how often the values of a column stand in it."""
    shares: Mapping[str, float] = {text: share_of(seen, text) for text in seen.texts}
    frequent = sorted(shares, key=lambda text: -shares[text])
    shown = ", ".join(f"{text} {shares[text]:.1%}" for text in frequent[:most])
    return shown + (", …" if len(frequent) > most else "")
