"""One stage as its notebook sees it: the facts of the data set, gates, decisions of the
data, and the summary.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from IPython.display import display

from churn.datasets import find_dataset
from churn.params import ColumnLabel, Params, load_params
from churn.summary import SUMMARY_TYPE, Result
from churn.tables.files import read_table, write_json

DECISIONS = "decisions"  # the name of the file in a dataset, without its ending
MODEL_FACTS = "scoring.json"  # beside a model: what scoring needs to know of its training

Value = TypeVar("Value")

# Progress bars of libraries are not shown in reports.
warnings.filterwarnings("ignore", "IProgress not found")


class GateError(Exception):
    """A check that stops the run: the input is not good enough to go on, and trying
    again would not help.
    """


def gate(problems: list[str], about: str) -> None:
    """Stop the run when there are problems.

    Raises:
        GateError: `problems` is not empty; its message lists them.
    """
    if problems:
        raise GateError(f"{about}:\n" + "\n".join(f"  - {problem}" for problem in problems))


class Stage:
    """What a stage's notebook begins with, notes on its way, and ends with.

    A decision of the data (an inferred type, a column left out) is made in training, by
    a rule that stands in the notebook. Where customers are scored with a model, the
    decisions that it was trained under are followed instead, by the same call.
    """

    def __init__(self, params_file: str, *, reads: str = "", follow: str = "") -> None:
        """Read the facts of the data set, and set the look of plots and tables.

        Args:
            params_file: the facts of the data set; which of them this notebook reads is
                noted from now on: a change of another one does not make its stage run again.
            reads: the dataset whose stage decided before this one.
            follow: the folder of the model that customers are scored with; empty: training.

        Raises:
            ParameterError: the params file is missing, or something is wrong with it.
            GateError: the model was made before models kept the decisions they need.
        """
        _use_house_style()
        self.params: Params = load_params(params_file)
        self._model = read_model_facts(follow) if follow else None
        self._decisions = read_decisions(reads) if reads else {}
        self._results: dict[str, Result] = {}

    @property
    def data_set(self) -> str:
        """The name of the data set; that of the model's, where one is followed."""
        return str(self._model["data_set"]) if self._model else self.params.name

    @property
    def answer_columns(self) -> list[str]:
        """The columns of the answer that a row has to have: none where customers are
        scored, whose answer nobody knows.
        """
        return [] if self._model else self.params.label.columns

    def read_table(self, folder: str, name: str) -> pd.DataFrame:
        """Read a table of a dataset (see `tables.files.read_table`); without the column of
        the answer where customers are scored, who neither need it nor may be judged by it.
        """
        frame, label = read_table(folder, name), self.params.label
        if self._model and isinstance(label, ColumnLabel):
            return frame.drop(columns=label.column, errors="ignore")
        return frame

    def decided(self, name: str, rule: Callable[[], Value]) -> Value:
        """Return a decision of the data: what the rule says, which is recorded; or, where
        a model is followed, what was recorded when it was trained.

        A decision is a value of JSON: a tuple comes back as a list.

        Raises:
            GateError: the model was trained without this decision.
        """
        if self._model:
            known = self._model["decisions"]
            about = f"{self._model['model']} cannot be used for scoring; train it again"
            gate([] if name in known else [f"it was trained without deciding {name!r}"], about)
            value = known[name]
        else:
            value = json.loads(json.dumps(rule()))
        self._decisions[name] = value
        return value  # type: ignore[no-any-return]  # JSON has lost the type, not the value

    def write_decisions(self, folder: str | os.PathLike[str]) -> None:
        """Write the decisions of this stage, and of those before it, into a dataset that is
        being made.
        """
        write_json(self._decisions, folder, DECISIONS)

    def note(self, **results: Result) -> None:
        """Note results for the summary, where they are known only to some of the cells.

        Raises:
            ValueError: a result is not a finite number or a text.
        """
        self._results |= {name: _as_json(name, value) for name, value in results.items()}

    def summarize(self, **results: Result) -> None:
        """Show the stage's results as a table, and record them: the run's record has them
        from this cell.

        Raises:
            ValueError: a result is not a finite number or a text.
        """
        self.note(**results)
        shown = [
            f"{value:,}" if isinstance(value, int) else value for value in self._results.values()
        ]
        table = pd.DataFrame({"result": list(self._results), "value": shown})
        forms = {
            "text/plain": table.to_string(index=False),
            "text/html": table.to_html(index=False),
            SUMMARY_TYPE: self._results,
        }
        display(forms, raw=True)


def read_decisions(dataset: str) -> dict[str, Any]:
    """Return the decisions of the data that a dataset was made under, of all stages so far."""
    file = find_dataset(dataset) / f"{DECISIONS}.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return found


def find_lacking_facts(facts: Mapping[str, Any]) -> list[str]:
    """Name the facts that a model has to keep of its training, to score customers, and does
    not: one of version 0.1.0 keeps no decisions.
    """
    return [name for name in ("data_set", "features", "decisions") if name not in facts]


def read_model_facts(folder: str) -> dict[str, Any]:
    """Read what a model keeps of its training.

    Raises:
        GateError: that is too little to score customers with it.
    """
    file = Path(folder, MODEL_FACTS)
    facts: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    lacking = find_lacking_facts(facts)
    problems = [f"{file.resolve()} does not tell its {', '.join(lacking)}"] if lacking else []
    gate(problems, "The model cannot be used for scoring; train a new version: churn run")
    return facts


def _use_house_style() -> None:
    """Set the look of plots and tables that all notebooks share (seaborn's
    colour-blind-safe palette).
    """
    import seaborn as sns

    look = {"context": "notebook", "style": "whitegrid", "palette": "colorblind"}
    sns.set_theme(**look, rc={"figure.dpi": 100})
    pd.options.display.max_columns = 50
    pd.options.display.max_colwidth = 150
    pd.options.display.precision = 4


def _as_json(name: str, value: Any) -> Result:
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, str) or (isinstance(plain, (int, float)) and math.isfinite(plain)):
        return plain
    raise ValueError(f"The result {name!r} is {value!r}: expected a finite number or a text.")
