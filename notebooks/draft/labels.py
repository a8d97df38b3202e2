"""Which column holds the answer, and which of its values means `has churned`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from draft import words
from draft.columns import Seen
from draft.inputs import DraftError
from draft.reading import Table
from params import suggest

SURE, LIKELY = 3.0, 1.5
_MOST_VALUES = 6
_MOST_SPELLINGS = 20
_FEW = 0.05  # share of the rows whose answer is neither yes nor no
_OFTEN_EMPTY = 0.05  # share of the rows
_MOST_SHOWN = 20  # values that a message lists
_MEASURED = re.compile(r"-?\d{2,}(?:[.,]\d+)?")  # two years, prices or days answer no question


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
    found = [answer for table in tables for seen in table.columns.values() if (answer := _rate(table.name, seen))]
    return sorted((one for one in found if one.strength >= LIKELY), key=lambda one: -one.strength)


def list_candidates(tables: Iterable[Table]) -> list[str]:
    """Describe each column that may be the label: those that are called so, whatever they hold, then those of two."""
    columns = [seen for table in tables for seen in table.columns.values() if seen.filled]
    named = [seen for seen in columns if seen.distinct > 1 and words.LEAVING.search(seen.words)]
    binary = [seen for seen in columns if seen.distinct == 2 and seen.type == "category"]
    others = [seen for seen in binary if not words.LEAVING.search(seen.words)]
    return [_describe_candidate(seen) for seen in [*named, *others] if not words.PERSON.search(seen.words)]


def _describe_candidate(seen: Seen) -> str:
    empty = f"; empty in {seen.missing_share:.0%} of the rows" if seen.missing_share >= _OFTEN_EMPTY else ""
    if len(seen.texts) > _MOST_VALUES:
        return f"{seen.name} ({seen.distinct:,} values{empty})"
    return f"{seen.name} ({', '.join(f'{text} {share_of(seen, text):.0%}' for text in seen.texts)}{empty})"


def choose_answer(tables: list[Table], wish: str) -> Answer:
    """Return the label that `--label COLUMN[=POSITIVE]` names.

    Raises:
        DraftError: there is no such column or value; the message suggests the nearest.
    """
    named, equals, positive = wish.partition("=")
    table, seen = find_column(tables, named, "--label")
    seen.type = "category"  # answers are texts, whatever they look like
    if not equals:
        answer = _answer(table.name, seen)
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
    return Answer(table.name, seen.name, values[positive.casefold()], strength=SURE, why="as --label says")


def find_column(tables: Iterable[Table], name: str, option: str) -> tuple[Table, Seen]:
    """Find a column by its name, in whatever case.

    Raises:
        DraftError: there is none; the message suggests the nearest.
    """
    places = [(table, seen) for table in tables for seen in table.columns.values()]
    same = [place for place in places if place[1].name == name]
    same += [place for place in places if place[1].name.casefold() == name.casefold()]
    if same:
        return same[0]
    raise DraftError(f"{option}: no column {name!r}{suggest(name, [seen.name for _, seen in places])}")


def is_named_so(name: str) -> bool:
    """Whether a column's name speaks of the answer."""
    return _rate_name(words.plain(name)) >= LIKELY


def find_named_so(names: Iterable[str]) -> list[str]:
    """Return the names that speak most of the answer, if any does."""
    rated = {name: rating for name in names if (rating := _rate_name(words.plain(name))) >= LIKELY}
    return [name for name, rating in rated.items() if rating == max(rated.values())]


def _rate(table: str, seen: Seen) -> Answer | None:
    if seen.type != "category" or seen.distinct > _MOST_SPELLINGS or not 2 <= len(seen.texts) <= _MOST_VALUES:
        return None
    name, answer = _rate_name(seen.words), _answer(table, seen)
    if answer is None or (name == 0 and answer.strength < SURE):
        return None
    why = [f"the name {seen.name}"] if name else []
    why += [answer.why] if answer.why else []
    strength = name + answer.strength
    return Answer(
        table, seen.name, answer.positive, answer.negative, answer.same, answer.rest, strength, " and ".join(why)
    )


def _rate_name(name: str) -> float:
    if words.SPOILING.search(name):
        return 1.0 if re.search("churn|attrit", name) else 0  # `churn_risk_score` of 0 and 1, where nothing else is
    if match := words.LEAVING.search(name):
        others = [word for word in name.split() if word not in words.NEUTRAL and not words.LEAVING.search(word)]
        others += words.COUNTING.findall(name)
        base = 4.0 if match[0] in ("churn", "attrit") else 3.0
        return max(base - 0.6 * len(others), 1.0)
    if words.WEAK_LABEL.fullmatch(name) or words.STANDING.fullmatch(name):
        return 1.5
    if words.STAYING.search(name):
        return 1.0
    return 0.5 if words.STATUS.search(name) else 0


def _answer(table: str, seen: Seen) -> Answer | None:
    """Read which of the values means that a customer has left."""
    texts = seen.texts
    leaving = [text for text in texts if words.LEAVING.search(words.plain(text))]
    staying = [text for text in texts if text not in leaving and words.STAYING.search(words.plain(text))]
    if len(texts) == 2 and (len(leaving) == 1 or len(staying) == 1):
        positive = leaving[0] if leaving else next(text for text in texts if text not in staying)
        return Answer(table, seen.name, positive, strength=3.0, why=f"the values {' and '.join(texts)}")
    if len(texts) > 2:
        return _answer_of_many(table, seen, leaving, staying)
    return _answer_of_two(table, seen, texts) if len(texts) == 2 else None


def _answer_of_many(table: str, seen: Seen, leaving: list[str], staying: list[str]) -> Answer | None:
    if not leaving or not staying or len(seen.texts) > _MOST_VALUES:
        return _answer_of_yes_and_no(table, seen)
    by_count = sorted(leaving, key=lambda text: -_rows(seen, text))
    stayed = max(staying, key=lambda text: _rows(seen, text))
    rest = [text for text in seen.texts if text not in leaving and text != stayed]
    why = f"the values {', '.join(seen.texts)}"
    return Answer(table, seen.name, by_count[0], stayed if rest else None, by_count[1:], rest, 3.0, why)


def _answer_of_yes_and_no(table: str, seen: Seen) -> Answer | None:
    """Take one yes and one no for the answer where a few rows say something else: a line of totals, `pending`."""
    said = [text for text in seen.texts if words.bare(text) in words.YES | words.NO]
    rest = [text for text in seen.texts if text not in said]
    answer = _answer_of_two(table, seen, said) if len(said) == 2 else None
    if answer is None or answer.strength == 0 or sum(_rows(seen, text) for text in rest) > _FEW * seen.filled:
        return None
    other = next(text for text in said if text != answer.positive)
    return dataclasses.replace(answer, negative=other, rest=rest)


def _answer_of_two(table: str, seen: Seen, texts: list[str]) -> Answer | None:
    yes = [text for text in texts if words.bare(text) in words.YES]
    no = [text for text in texts if words.bare(text) in words.NO]
    is_of_staying = bool(words.STAYING.search(seen.words) or words.STANDING.fullmatch(seen.words))
    is_inverted = is_of_staying and not words.LEAVING.search(seen.words)
    if len(yes) == len(no) == 1 and yes != no:
        positive = no[0] if is_inverted else yes[0]
        return Answer(table, seen.name, positive, strength=0.5, why=f"the values {no[0]} and {yes[0]}")
    if all(_MEASURED.fullmatch(text) for text in texts):
        return None
    rarer = min(texts, key=lambda text: (_rows(seen, text), text))
    why = f"{rarer} is the rarer of its values: a guess"
    return Answer(table, seen.name, rarer, strength=0.0, why=why)


def _rows(seen: Seen, text: str) -> int:
    spelled = [other for other, usual in seen.codes.items() if usual == text]
    return int(seen.counts.reindex([text, *spelled]).fillna(0).sum())


def share_of(seen: Seen, text: str) -> float:
    """Return the share of a value, in all its spellings, of the rows that have one."""
    return _rows(seen, text) / max(seen.filled, 1)


def describe_values(seen: Seen, most: int = 4) -> str:
    """Describe how often the values of a column stand in it."""
    shares: Mapping[str, float] = {text: share_of(seen, text) for text in seen.texts}
    frequent = sorted(shares, key=lambda text: -shares[text])
    shown = ", ".join(f"{text} {shares[text]:.1%}" for text in frequent[:most])
    return shown + (", …" if len(frequent) > most else "")
