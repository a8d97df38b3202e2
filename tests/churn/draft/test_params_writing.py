"""What the params file says, and the settings that the data needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from helpers import one_table
from helpers.drafts import Drafting
from helpers.people import people, write_csv


def test_a_label_that_is_often_missing(draft: Drafting, tmp_path: Path) -> None:
    """Rows without an answer are set aside, and the threshold that allows it is written
    with the reason.
    """
    made = people(1500)
    answer = made.blank(np.where(made.churned, "yes", "no"), 0.2)
    frame = pd.DataFrame(
        {"customer": np.arange(10_000, 11_500), "months": made.months, "churned": answer}
    )
    drafted = draft(write_csv(frame, tmp_path / "customers.csv"))
    assert 0.2 < drafted.params.stages["validation"]["max_quarantined_share"] < 0.3
    assert drafted.columns()["churned"].required
    assert "churned" in drafted.comment("max_quarantined_share")


def test_few_customers(draft: Drafting, tmp_path: Path) -> None:
    """Thresholds that 260 customers would not reach are lowered to what there is."""
    (path,) = one_table.bank(tmp_path, 260)
    stages = draft(path).params.stages
    assert stages["transformation"]["min_customers"] < 260
    assert stages["model_building"]["min_customers"] < 260
    assert stages["model_building"]["min_customers_a_class"] < 45
    assert "validation" not in stages


def test_names_that_mean_something_in_yaml(draft: Drafting, tmp_path: Path) -> None:
    """Whatever columns are called, the file loads and calls them so."""
    names = [
        "a: b",
        "#x",
        "- y",
        "null",
        "Yes",
        "1",
        "é, è",
        "{z}",
        "it's",
        '"q"',
        "*s",
        "&t",
        "%v",
        "?",
        "[w]",
        "~",
    ]
    made = people(400)
    frame = pd.DataFrame(
        {name: made.whole(0, 50) for name in names} | {"churn": made.churned.astype(int)}
    )
    drafted = draft(write_csv(frame, tmp_path / "odd names.csv"))
    assert list(drafted.columns()) == [*names, "churn"]


def test_rows_of_another_length_are_allowed_for(draft: Drafting, tmp_path: Path) -> None:
    """A few rows with too many fields are counted, and the setting that lets ingestion
    set them aside is written.
    """
    (bank,) = one_table.bank(tmp_path, 300)
    bank.write_text(bank.read_text() + "1,2,3\n" * 2)
    drafted = draft(bank)
    assert drafted.params.stages["ingestion"] == {"malformed_rows_allowed": 2}
    assert "2" in drafted.said("ingestion.malformed_rows_allowed")
