"""The verdict in words, and the table of rules below it: at the top of the report, renewed as the checks go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from IPython.display import Markdown, display

from normal import State
from params import EndDateLabel, Params
from quality import Rule
from suspicions import Suspicion

UNFINISHED = "**The checks have not come to an end**: what stopped them is said at the cell that failed."
NAMED = 3  # things that a sentence names before it counts the rest
MOST_LINES = 200  # of the table; more rules that hold are counted
_ORDER = {"FAILED": 0, "told": 1, "holds": 2}


class Opening:
    """What stands at the top of the report: two displays that later cells renew."""

    def __init__(self) -> None:
        self._words = display(Markdown(UNFINISHED), display_id=True)
        self._table = display(Markdown("No rule has been checked yet."), display_id=True)

    def tell_problems(self, problems: Sequence[str], about: str, rules: Sequence[Rule]) -> None:
        """Show that the run stops, if there are problems that a gate is about to stop it for."""
        if problems:
            self.show([f"The run stops here: {about[:1].lower()}{about[1:]}.", *map(_as_text, problems)], rules)

    def show(self, sentences: Sequence[str], rules: Sequence[Rule]) -> None:
        """Show a verdict, the first sentence in bold, and the rules so far, those that failed first."""
        first, *others = sentences
        lines = [f"**{first}**", "", *(f"- {sentence}" for sentence in others)]
        self._words.update(Markdown("\n".join(lines)))
        table = tabulate(rules)
        more = f"And {len(rules) - len(table):,} more rules that hold." if len(rules) > len(table) else ""
        content = {"text/plain": f"{table.to_string(index=False)}\n{more}"}
        content["text/html"] = f"{table.to_html(index=False)}<p>{more}</p>" if more else table.to_html(index=False)
        self._table.update(content, raw=True)


def tabulate(rules: Sequence[Rule]) -> pd.DataFrame:
    """Return the rules as a table: failed ones first, then those that tell something, then those that hold.

    Of many that hold, a part is left out. `share` is `failed / checked` and may be as large as `allowed`; where a rule
    asks for a number (`at least`), `checked` is what was found and `failed` what is lacking.
    """
    ordered = sorted(rules, key=lambda rule: _ORDER[rule.verdict])
    shown = [rule for place, rule in enumerate(ordered) if place < MOST_LINES or rule.verdict != "holds"]
    return pd.DataFrame(map(_as_line, shown))


def _as_line(rule: Rule) -> dict[str, Any]:
    asked = rule.minimum is not None
    return {
        "verdict": rule.verdict,
        "table": rule.table,
        "column": rule.column,
        "rule": rule.rule + rule.hint,
        "checked": f"{rule.checked:,}",
        "failed": f"{rule.failed:,}",
        "share": "" if asked else f"{rule.share:.2%}",
        "allowed": "" if asked else "any" if rule.tells else f"{rule.threshold:.2%}",
    }


@dataclass(frozen=True)
class Findings:
    """All that the verdict is made of.

    `rows` counts those received, `unusable` lists what is wrong with those set aside (`quality.check_values`), and
    `labels` counts the answers of each as-of date.
    """

    params: Params
    rows: Mapping[str, int]
    unusable: Mapping[str, pd.DataFrame]
    labels: pd.DataFrame
    rules: Sequence[Rule]
    state: State
    shifts: pd.DataFrame
    label_shift: str
    suspicions: Sequence[Suspicion]
    run_id: str = ""

    @property
    def failed(self) -> list[Rule]:
        """The rules that stop the run."""
        return [rule for rule in self.rules if not rule.passed]

    @property
    def moved(self) -> pd.DataFrame:
        """The columns that have shifted against the accepted profile."""
        return self.shifts[self.shifts["shift"] != "stable"]

    @property
    def failure(self) -> str:
        """What the gate says above the failed rules, and how what is only new is accepted."""
        said = f"{len(self.failed)} of {len(self.rules)} quality rules failed"
        return f"{said}. {self._advice}" if any(rule.accepted for rule in self.failed) else said

    @property
    def _advice(self) -> str:
        if self.labels.empty:
            return "If the data is right, accept it as the new normal in a run of training, or widen `schema.yaml`"
        command = f"churn accept {self.run_id or 'RUN_ID'}"
        return (
            f"If the data is right and what was accepted is out of date, `{command}` takes it as the new normal; "
            "another data set needs another `name` in params.yaml"
        )

    def sentences(self) -> list[str]:
        """Say in plain sentences how much data there is, what is wrong with it, and whether the run may go on."""
        about_data = [self._tell_amount(), self._tell_quarantine(), self._tell_changes(), self._tell_doubts()]
        broken = [f"Broken: {_join(_as_text(str(rule)) for rule in self.failed)}."] if self.failed else []
        return [self._decide(), *broken, *about_data]

    def _decide(self) -> str:
        if self.failed:
            many = f"{len(self.failed)} of {len(self.rules)} rules failed" if len(self.failed) > 1 else "a rule failed"
            return f"The run stops here: {many}."
        return f"The run may go on: none of the {len(self.rules)} rules stands against it."

    def _tell_amount(self) -> str:
        total, tables = sum(self.rows.values()), len(self.rows)
        size = f"{total:,} rows in {tables} tables" if tables > 1 else f"{total:,} rows"
        if self.labels.empty:
            return f"There are {size}, of customers to be scored."
        label, counted = self.params.label, self.labels[["churned", "stayed", "unknown"]].sum()
        known = int(counted["churned"] + counted["stayed"])
        churn = f"{counted['churned']:,} of {known:,} customers churn"
        if isinstance(label, EndDateLabel):
            churn += f" within {label.horizon_days} days"
        days = list(self.labels.index)
        when = f" from {days[0]} to {days[-1]}, {len(days)} as-of dates together" if len(days) > 1 else ""
        unknown = f"; of {counted['unknown']:,} it is not known" if counted["unknown"] else ""
        return f"There are {size}; {churn}{when} ({counted['churned'] / max(known, 1):.1%}){unknown}."

    def _tell_quarantine(self) -> str:
        lines = pd.concat(self.unusable, names=["table"]).reset_index("table")
        number, total = len(lines[["table", "row"]].drop_duplicates()), sum(self.rows.values())
        if not number:
            return "No row had to be set aside."
        causes = lines.groupby(["table", "column", "rule"]).size()
        place: Any = causes.idxmax()
        rows, most = int(causes.max()), _as_text("{}.{} {}".format(*place))
        verb = "is" if number == 1 else "are"
        aside = f"{number:,} of {total:,} rows ({number / total:.2%}) cannot be used and {verb} set aside"
        return f"{aside}; the rule broken most often ({rows:,}) is: {most}."

    def _tell_changes(self) -> str:
        folder = f"`data/accepted/{self.state.folder.name}`"
        if self.state.schema is None:
            if self.failed:
                return "Nothing is accepted as normal yet, and nothing is learned from data that fails."
            return f"It is the first data of its kind: what is normal is learned from it and kept in {folder}."
        changes = [_as_text(_tell_rule(rule)) for rule in self.rules if rule.accepted and rule.verdict != "holds"]
        changes += [self.label_shift] if self.label_shift else []
        changes += [_as_text(f"{line.table}.{line.column} ({line[-1]})") for line in self._list_moved()]
        if not changes:
            return "Against what was accepted as normal, nothing has changed."
        stops = any(rule.accepted for rule in self.failed)
        return f"Against what was accepted as normal, {_count_of(len(changes), 'thing')}: {_join(changes)}." + (
            f" {self._advice}." if stops else ""
        )

    def _list_moved(self) -> Iterator[Any]:
        """Yield the columns that have shifted, without those that a rule tells of."""
        told = {(rule.table, rule.column) for rule in self.rules if rule.accepted and rule.verdict != "holds"}
        for line in self.moved.itertuples(index=False):
            if (line.table, line.column) not in told:
                yield line

    def _tell_doubts(self) -> str:
        doubts = [_as_text(f"{one.place} {one.what}") + _count(one) for one in self.suspicions]
        return f"To look at: {_join(doubts)}." if doubts else "Nothing looks suspicious."


def _count_of(number: int, word: str) -> str:
    return f"{number:,} {word} differs" if number == 1 else f"{number:,} {word}s differ"


def _count(one: Suspicion) -> str:
    if not one.rows:
        return ""
    return f" ({one.rows / one.checked:.1%} of the rows)" if one.checked else f" ({one.rows:,})"


def _tell_rule(rule: Rule) -> str:
    if rule.tells:
        return f"{rule.place} is new" if rule.rule.startswith("was there") else f"{rule.place} is gone"
    return str(rule)


def _join(parts: Iterator[str] | Sequence[str]) -> str:
    listed = list(parts)
    more = len(listed) - NAMED
    return "; ".join(listed[:NAMED]) + (f"; and {more} more, see below" if more > 0 else "")


def _as_text(text: str) -> str:
    """Return a text in which nothing that a data set may hold is markup."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|~$" else sign for sign in " ".join(text.split()))
