"""Answers in a file of their own without a key, and ends as a year and a month."""

from __future__ import annotations

from pathlib import Path

from churn.tables.files import read_table
from helpers.companies import frame_of, run_stage, write_company

IDS = [f"{number:03}" for number in range(200)]


def test_answers_in_the_order_of_the_rows(tmp_path: Path) -> None:
    """The file of answers has no customer id: each belongs to the row with its number."""
    params = """\
name: Apart
customer_id: id
label: {column: churned, positive: '1'}
sources:
  crm: {file: crm.csv}
  labels: {file: labels.csv, same_order: true}
"""
    answers = ["1" if number % 4 == 0 else "0" for number in range(200)]
    crm = frame_of(id=IDS[::-1], plan=["a", "b"] * 100)
    given = write_company(
        tmp_path / "apart", {"crm": crm, "labels": frame_of(churned=answers)}, params
    )
    _, results = run_stage("02_validation", given, tmp_path)
    assert (results["customers_churned"], results["customers_stayed"]) == (50, 150)
    run_stage("03_preparation", given, tmp_path)
    customers = read_table(given["prepared_dir"], "customers")
    assert dict(zip(customers["id"], customers["churned"], strict=True)) == dict(
        zip(IDS[::-1], answers, strict=True)
    )


def test_an_end_as_a_year_and_a_month(tmp_path: Path) -> None:
    """Who ended in the horizon churns; the two columns, which would tell it, are gone."""
    params = """\
name: Months
customer_id: id
as_of: 2024-03
label: {end_date: ended, horizon_days: 91}
sources:
  crm: {file: crm.csv, months: {ended: {year: Cancel Year, month: Cancel Month}}}
"""
    ends = [("2024", "4"), ("2024", "2"), ("", ""), ("2024", "5"), ("", "")] * 40
    crm = frame_of(
        id=IDS,
        plan=["a", "b"] * 100,
        **{"Cancel Year": [year for year, _ in ends], "Cancel Month": [month for _, month in ends]},
    )
    given = write_company(tmp_path / "months", {"crm": crm}, params)
    _, results = run_stage("02_validation", given, tmp_path)
    assert (results["customers_churned"], results["customers_stayed"]) == (80, 80)
    run_stage("03_preparation", given, tmp_path)
    assert list(read_table(given["prepared_dir"], "customers")) == ["id", "plan", "ended"]
