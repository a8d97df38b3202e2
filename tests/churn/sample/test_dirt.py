"""The dirt that is added to clean tables, and that it is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from churn.sample import company, dirt
from churn.sample.customers import (
    BLOCK,
    NETS,
    PAYMENTS,
    TYPES,
)
from helpers.sample_tables import Tables, make_clean, read_tables


def count_dirt(tables: Tables) -> dict[str, dict[str, int]]:
    """Count each kind of dirt from the tables alone."""
    contract, personal = tables["contract"], tables["personal"]
    known = set(contract["customerID"])
    begin, end = contract["BeginDate"], contract["EndDate"]
    blank = {
        column: int((table[column].str.strip() == "").sum())
        for table, column in (
            (contract, "TotalCharges"),
            (contract, "PaymentMethod"),
            (personal, "gender"),
        )
    }
    common = {name: _count_codes(table) for name, table in tables.items()}
    orphan = {name: int((~table["customerID"].isin(known)).sum()) for name, table in tables.items()}
    return {
        "contract": {
            **_count_duplicates(contract),
            "blank_TotalCharges": blank["TotalCharges"],
            "blank_PaymentMethod": blank["PaymentMethod"],
            **common["contract"],
            "thousands_separator": int(contract["TotalCharges"].str.contains(",").sum()),
            "negative_MonthlyCharges": int(contract["MonthlyCharges"].str.startswith("-").sum()),
            "begin_after_end": int(((begin == "No") | ((end != "No") & (begin > end))).sum()),
        },
        "personal": {
            **_count_duplicates(personal),
            "blank_gender": blank["gender"],
            **common["personal"],
            "missing": len(known - set(personal["customerID"])),
            "orphan": orphan["personal"],
        },
        "internet": {**common["internet"], "orphan": orphan["internet"]},
        "phone": {**common["phone"], "orphan": orphan["phone"]},
    }


def _count_duplicates(table: pd.DataFrame) -> dict[str, int]:
    distinct = table.drop_duplicates()
    conflicting = len(distinct) - distinct["customerID"].nunique()
    return {"exact_duplicate": len(table) - len(distinct), "conflicting_duplicate": conflicting}


def _count_codes(table: pd.DataFrame) -> dict[str, int]:
    codes = table.drop(columns="customerID")
    odd = codes.isin([code for codes in dirt.ODD_CODES.values() for code in codes])
    spaced = codes.apply(lambda column: column.str.endswith(" ") & (column != " "))
    return {"odd_code": int(odd.to_numpy().sum()), "trailing_space": int(spaced.to_numpy().sum())}


def test_record_tells_the_rows_and_the_dirt(folder: Path) -> None:
    """made.json holds the very counts of rows and of each kind of dirt that the files
    hold, and each kind is there.
    """
    record, tables = json.loads((folder / "made.json").read_text()), read_tables(folder)
    counted = count_dirt(tables)
    assert record["dirt"] == counted
    assert record["rows"] == {name: len(table) for name, table in tables.items()}
    assert {name: set(kinds) for name, kinds in counted.items()} == {
        n: set(rates) for n, rates in dirt.RATES.items()
    }
    assert all(count > 0 for kinds in counted.values() for count in kinds.values())
    struck = sum(count for kinds in counted.values() for count in kinds.values())
    assert 0.015 < struck / sum(record["rows"].values()) < 0.03


def test_counts_also_hold_over_several_blocks(tmp_path: Path) -> None:
    """With a last block of a single customer, made.json still holds what the files hold."""
    folder = company.make(tmp_path / "made", BLOCK + 1, 11)
    assert json.loads((folder / "made.json").read_text())["dirt"] == count_dirt(read_tables(folder))


def test_every_spelling_of_dirt_is_there(made: Path) -> None:
    """Both kinds of blanks and every odd code stand in the tables."""
    tables = read_tables(made)
    assert set(tables["contract"]["TotalCharges"]) >= {"", " "}
    assert set(tables["contract"]["PaymentMethod"]) >= {"", " ", *PAYMENTS}
    assert set(tables["personal"]["gender"]) >= {"", " ", "Male", "Female"}
    assert set(tables["contract"]["Type"]) >= {"month-to-month", "MTM", *TYPES}
    assert set(tables["contract"]["PaperlessBilling"]) == {"Yes", "No", "yes", "Y", "N"}
    assert set(tables["internet"]["InternetService"]) == {
        *NETS[1:],
        *(f"{net} " for net in NETS[1:]),
    }
    assert tables["contract"]["TotalCharges"].str.fullmatch(r"\d{1,2},\d{3}\.\d\d").any()


def test_later_row_of_conflicting_duplicates_is_valid(made: Path) -> None:
    """Keeping the last row of each id gives back the values that were drawn."""
    drawn = make_clean(7_000, 7)
    for name, column in (("contract", "MonthlyCharges"), ("personal", "Partner")):
        distinct = read_tables(made)[name].drop_duplicates()
        conflicting = distinct[distinct.duplicated("customerID", keep=False)]
        last = conflicting.drop_duplicates("customerID", keep="last").set_index("customerID")
        truth = drawn[name].set_index("customerID").loc[last.index]
        pd.testing.assert_frame_equal(last, truth)
        first = conflicting.drop_duplicates("customerID", keep="first").set_index("customerID")
        assert (first.loc[last.index, column] != truth[column]).all()
