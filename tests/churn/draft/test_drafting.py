"""What is decided over all tables: the day of the snapshot, the name of the data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from churn.baseline import (
    FOLDER,
    BaselineColumn,
    BaselineSchema,
    BaselineTable,
    render_schema,
    slug,
)
from churn.draft.column_types import look_at
from churn.draft.drafting import choose_name
from churn.draft.named_inputs import Input
from churn.draft.table_reading import Table
from helpers.drafts import Drafting
from helpers.people import people, write_csv


def test_a_month_says_no_day(draft: Drafting, tmp_path: Path) -> None:
    """Where logs tell what happened within a month, the analyst is asked when in it the
    snapshot was taken.
    """
    made = people(900)
    months = ["202401", "202402", "202403"]
    rows = [
        pd.DataFrame({"msno": range(900), "month": month, "is_churn": made.churned.astype(int)})
        for month in months
    ]
    logs = pd.DataFrame(
        {
            "msno": np.repeat(np.arange(900), 4),
            "date": ["20240110", "20240115", "20240203", "20240301"] * 900,
        }
    )
    logs["seconds"] = np.repeat(made.price, 4)
    drafted = draft(
        write_csv(pd.concat(rows), tmp_path / "train.csv"),
        write_csv(logs, tmp_path / "user_logs.csv"),
    )
    told = drafted.said("month: 202401")
    assert "first day" in told
    assert "user_logs" in told


def accept(name: str, columns: dict[str, BaselineColumn], root: Path) -> None:
    """Keep columns as what is normal for a data set."""
    folder = root / FOLDER / slug(name)
    folder.mkdir(parents=True, exist_ok=True)
    state = BaselineSchema(name=name, tables={"t": BaselineTable(rows=5, columns=columns)})
    (folder / "schema.yaml").write_text(render_schema(state), encoding="utf-8")


def test_a_name_under_which_other_data_was_accepted(tmp_path: Path) -> None:
    """`churn.csv` of another company gets another name: it is not compared with what
    was normal for the first.
    """
    tables = [
        Table("churn", {}, pd.DataFrame({"id": ["1"], "age": ["2"], "left": ["0"]}), 1, "churn.csv")
    ]
    tables[0].columns = look_at(tables[0].frame)
    inputs = [Input("file", str(tmp_path / "our_bank" / "churn.csv"), "churn.csv")]
    assert choose_name("churn", inputs, tables, tmp_path) == "churn"
    facts = {name: BaselineColumn(type="category") for name in ("id", "plan", "calls", "cancelled")}
    accept("churn", facts, tmp_path)
    assert choose_name("churn", inputs, tables, tmp_path) == "our bank churn"
    accept("our bank churn", facts, tmp_path)
    assert choose_name("churn", inputs, tables, tmp_path) == "churn 2"
    accept(
        "churn",
        {name: BaselineColumn(type="category") for name in ("id", "age", "left", "note")},
        tmp_path,
    )
    assert choose_name("churn", inputs, tables, tmp_path) == "churn"
