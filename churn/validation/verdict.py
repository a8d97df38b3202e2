"""What validation found, and the verdict on it in words: at the top of the report, renewed
as the checks go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from IPython.display import Markdown, display

from churn.baseline import Baseline
from churn.params import EndDateLabel, InactivityLabel, Params
from churn.stage import gate
from churn.validation.answers import no_counts
from churn.validation.baseline_rules import IN_BASELINE
from churn.validation.rules import Rule
from churn.validation.suspicions import Suspicion

UNFINISHED = (
    "**The checks have not come to an end**: what stopped them is said at the cell that failed."
)
NAMED = 3  # things that a sentence names before it counts the rest
MOST_LINES = 200  # of the table; more rules that hold are counted
_ORDER = {"FAILED": 0, "told": 1, "holds": 2}


def open_report() -> Findings:
    """Show, at the top of the report, that nothing has been found yet, and return what the
    cells below add to.
    """
    words = display(Markdown(UNFINISHED), display_id=True)
    return Findings(words, display(Markdown("No rule has been checked yet."), display_id=True))


@dataclass
class Findings:
    """All that the verdict is made of; the checks add to it.

    Attributes:
        rules: in the order in which they were checked.
        rows: received, by table.
        unusable: what is wrong with the rows set aside (`rules.check_values`), by table.
        labels: the answers of each as-of date; none where they are not asked for.
        shifts: how far the columns have moved from the baseline (`drift.compare_profiles`).
        label_shift: what is said of the share of customers who churn.
        suspicions: what an analyst should look at.
        repeats: what is said of rows that repeat others, or belong together.
    """

    words: Any
    table: Any
    rules: list[Rule] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    unusable: dict[str, pd.DataFrame] = field(default_factory=dict)
    labels: pd.DataFrame = field(default_factory=no_counts)
    shifts: pd.DataFrame = field(default_factory=pd.DataFrame)
    label_shift: str = ""
    suspicions: list[Suspicion] = field(default_factory=list)
    repeats: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[Rule]:
        """The rules that stop the run."""
        return [rule for rule in self.rules if not rule.passed]

    @property
    def unsettled(self) -> list[str]:
        """Those of them that accepting the data would not settle."""
        return [str(rule) for rule in self.failed if not rule.baseline]

    @property
    def moved(self) -> pd.DataFrame:
        """The columns that have shifted against the baseline."""
        return self.shifts[self.shifts["shift"] != "stable"]

    def gate(self, problems: Sequence[str], about: str) -> None:
        """Stop the run when there are problems, and say so at the top of the report.

        Raises:
            GateError: there are problems; its message lists them.
        """
        if problems:
            first = f"The run stops here: {about[:1].lower()}{about[1:]}."
            self.show([first, *map(_as_text, problems)])
        gate(list(problems), about)

    def show(self, sentences: Sequence[str]) -> None:
        """Show a verdict, the first sentence in bold, and the rules so far, those that
        failed first.
        """
        first, *others = sentences
        lines = [f"**{first}**", "", *(f"- {sentence}" for sentence in others)]
        self.words.update(Markdown("\n".join(lines)))
        table, more = tabulate(self.rules), ""
        if len(self.rules) > len(table):
            more = f"And {len(self.rules) - len(table):,} more rules that hold."
        text, html = table.to_string(index=False), table.to_html(index=False)
        content = {"text/plain": f"{text}\n{more}", "text/html": f"{html}<p>{more}</p>"}
        self.table.update(content, raw=True)


def tabulate(rules: Sequence[Rule]) -> pd.DataFrame:
    """Return the rules as a table: failed ones first, then those that tell something,
    then those that hold.

    Of many that hold, a part is left out. `share` is `failed / checked` and may be as
    large as `allowed`; where a rule asks for a number (`at least`), `checked` is what
    was found and `failed` what is lacking.
    """
    ordered = sorted(rules, key=lambda rule: _ORDER[rule.verdict])
    shown = [
        rule for place, rule in enumerate(ordered) if place < MOST_LINES or rule.verdict != "holds"
    ]
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
class Verdict:
    """What the findings come to, in words.

    `baseline` is what they were compared with, `run_id` the run that may be accepted.
    """

    findings: Findings
    params: Params
    baseline: Baseline
    run_id: str = ""

    @property
    def failure(self) -> str:
        """What the gate says above the failed rules, and how what is only new is accepted."""
        found = self.findings
        said = f"{len(found.failed)} of {len(found.rules)} quality rules failed"
        return f"{said}. {self._advice}" if self._is_new else said

    @property
    def _is_new(self) -> bool:
        """Whether accepting the data would settle a failed rule."""
        return any(rule.baseline for rule in self.findings.failed)

    @property
    def _advice(self) -> str:
        right = "If the data is right"
        if self.findings.labels.empty:
            how = "accept it as the new baseline in a run of training, or widen `schema.yaml`"
            return f"{right}, {how}"
        command = f"churn accept {self.run_id or 'RUN_ID'}"
        return (
            f"{right} and the baseline is out of date, `{command}` takes it as the new baseline; "
            "another data set needs another `name` in params.yaml"
        )

    def sentences(self) -> list[str]:
        """Say in plain sentences how much data there is, what is wrong with it, and
        whether the run may go on.
        """
        failed = map(str, self.findings.failed)
        broken = [f"Broken: {_join(map(_as_text, failed))}."] if self.findings.failed else []
        return [
            self._decide(),
            *broken,
            self._tell_amount(),
            self._tell_quarantine(),
            *map(_as_text, self.findings.repeats),
            self._tell_changes(),
            *self._tell_doubts(),
        ]

    def _decide(self) -> str:
        failed, rules = len(self.findings.failed), len(self.findings.rules)
        if not failed:
            return f"The run may go on: none of the {rules} rules stands against it."
        many = f"{failed} of {rules} rules failed" if failed > 1 else "a rule failed"
        return f"The run stops here: {many}."

    def _tell_amount(self) -> str:
        rows, labels = self.findings.rows, self.findings.labels
        size = f"{sum(rows.values()):,} rows"
        size += f" in {len(rows)} tables" if len(rows) > 1 else ""
        if labels.empty:
            return f"There are {size}, of customers to be scored."
        label, counted = self.params.label, labels[["churned", "stayed", "unknown"]].sum()
        known = int(counted["churned"] + counted["stayed"])
        churn = f"{counted['churned']:,} of {known:,} customers churn"
        if isinstance(label, EndDateLabel):
            churn += f" within {label.horizon_days} days"
        if isinstance(label, InactivityLabel):
            churn += f" ({_as_text(str(label))})"
        if len(days := list(labels.index)) > 1:
            churn += f" from {days[0]} to {days[-1]}, {len(days)} as-of dates together"
        unknown = f"; of {counted['unknown']:,} it is not known" if counted["unknown"] else ""
        return f"There are {size}; {churn} ({counted['churned'] / max(known, 1):.1%}){unknown}."

    def _tell_quarantine(self) -> str:
        lines = pd.concat(self.findings.unusable, names=["table"]).reset_index("table")
        number = len(lines[["table", "row"]].drop_duplicates())
        total = sum(self.findings.rows.values())
        if not number:
            return "No row had to be set aside."
        causes = lines.groupby(["table", "column", "rule"]).size()
        place: Any = causes.idxmax()
        rows, most = int(causes.max()), _as_text("{}.{} {}".format(*place))
        verb, share = "is" if number == 1 else "are", number / total
        aside = f"{number:,} of {total:,} rows ({share:.2%}) cannot be used and {verb} set aside"
        return f"{aside}; the rule broken most often ({rows:,}) is: {most}."

    def _tell_changes(self) -> str:
        if self.baseline.schema is None:
            return self._tell_first()
        found = self.findings
        changes = [_as_text(_tell_rule(rule)) for rule in found.rules if _is_told(rule)]
        changes += [found.label_shift] if found.label_shift else []
        changes += [
            _as_text(f"{line.table}.{line.column} ({line[-1]})") for line in self._list_moved()
        ]
        if not changes:
            return "Against the baseline, nothing has changed."
        said = f"Against the baseline, {_count_of(len(changes), 'thing')}: {_join(changes)}."
        return f"{said} {self._advice}." if self._is_new else said

    def _tell_first(self) -> str:
        if self.findings.labels.empty:
            return "There is no baseline to compare with."
        if self.findings.failed:
            return "There is no baseline yet, and none is learned from data that fails."
        folder = f"`data/accepted/{self.baseline.folder.name}`"
        return (
            "It is the first data of its kind: the baseline is learned from it and kept in "
            f"{folder}."
        )

    def _list_moved(self) -> Iterator[Any]:
        """Yield the columns that have shifted, without those that a rule tells of."""
        told = {(rule.table, rule.column) for rule in self.findings.rules if _is_told(rule)}
        for line in self.findings.moved.itertuples(index=False):
            if (line.table, line.column) not in told:
                yield line

    def _tell_doubts(self) -> Iterator[str]:
        """Say what looks suspicious; where customers are scored nothing was looked for."""
        found = self.findings.suspicions
        doubts = [_as_text(f"{one.place} {one.what}") + _count(one) for one in found]
        if doubts:
            yield f"To look at: {_join(doubts)}."
        elif not self.findings.labels.empty:
            yield "Nothing looks suspicious."


def _is_told(rule: Rule) -> bool:
    return rule.baseline and rule.verdict != "holds"


def _count_of(number: int, word: str) -> str:
    return f"{number:,} {word} differs" if number == 1 else f"{number:,} {word}s differ"


def _count(one: Suspicion) -> str:
    if not one.rows:
        return ""
    return f" ({one.rows / one.checked:.1%} of the rows)" if one.checked else f" ({one.rows:,})"


def _tell_rule(rule: Rule) -> str:
    if rule.tells:
        return f"{rule.place} is {'new' if rule.rule == IN_BASELINE else 'gone'}"
    return str(rule)


def _join(parts: Iterable[str]) -> str:
    listed = list(parts)
    more = len(listed) - NAMED
    return "; ".join(listed[:NAMED]) + (f"; and {more} more, see below" if more > 0 else "")


def _as_text(text: str) -> str:
    """Return a text in which nothing that a data set may hold is markup."""
    return "".join(
        f"\\{sign}" if sign in "\\`*_{}[]<>#|~$" else sign for sign in " ".join(text.split())
    )
