"""What `churn init` makes of data in the shapes of real churn data sets: label, id,
joins, types, suspects.
"""

from __future__ import annotations

import datetime
import gzip
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from churn.params import AsOfColumn, DatabaseSource, FileSource
from helpers import many_tables, one_table
from helpers.drafts import Drafting
from helpers.people import write_csv
from helpers.servers import POSTGRES_PASSWORD, Answer, find_postgres, serving, serving_postgres


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder for the files of a company."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_a_bank_with_a_look_alike_of_the_label_and_a_complaint_that_tells_all(
    draft: Drafting, data: Path
) -> None:
    """`Exited` is the label, not `IsActiveMember`; row numbers, surnames and the
    complaint are no features.
    """
    drafted = draft(*one_table.bank(data))
    assert (drafted.column_label.column, drafted.column_label.positive) == ("Exited", "1")
    assert drafted.params.customer_id == "CustomerId"
    assert drafted.params.as_of is None
    assert drafted.left_out() == {"RowNumber", "Surname", "Complain"}
    assert "AUC 0.99" in drafted.comment("Complain")
    assert "may 0 mean missing?" in drafted.comment("Balance")
    assert drafted.columns()["Geography"].values == ["France", "Germany", "Spain"]
    assert "Name" not in drafted.comment("Surname")  # nobody's surname is written down
    assert not drafted.params.stages


def test_credit_cards_with_columns_that_a_classifier_left_behind(
    draft: Drafting, data: Path
) -> None:
    """The answer stands in words, `Unknown` means missing, and what a model computed is
    left out for that.
    """
    drafted = draft(*one_table.cards(data))
    assert drafted.column_label.positive == "Attrited Customer"
    assert drafted.params.customer_id == "CLIENTNUM"
    assert drafted.columns()["Education_Level"].none == ["Unknown"]
    assert not drafted.columns()["Education_Level"].required
    assert {name[:11] for name in drafted.left_out()} == {"Naive_Bayes"}
    for name in drafted.left_out():
        assert "output of a model" in drafted.said(f"{name}:")


def test_two_parts_of_one_table_without_an_id(draft: Drafting, data: Path) -> None:
    """Files with the same columns are one source; without an id the rows are numbered;
    `NA` is a state among others.
    """
    drafted = draft(*one_table.mobile_parts(data))
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert [Path(file).name for file in source.files] == [
        "mobile-churn-80.csv",
        "mobile-churn-20.csv",
    ]
    assert drafted.params.numbers_rows
    assert "numbered" in drafted.said("customer id:")
    assert "NA" in (drafted.columns()["State"].values or [])
    assert drafted.columns()["Area code"].values == ["408", "415", "510"]
    assert drafted.column_label.positive == "True"


def test_a_french_file_with_decimal_commas(draft: Drafting, data: Path) -> None:
    """Encoding, delimiter, decimal comma, day before month, and VRAI are found; accents
    come out right.
    """
    drafted = draft(*one_table.french(data))
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert (source.encoding, source.delimiter) == ("cp1252", ";")
    assert (drafted.column_label.column, drafted.column_label.positive) == ("Résilié", "VRAI")
    assert drafted.columns()["Facture moyenne"].decimal == ","
    assert drafted.columns()["Date d'adhésion"].format == "%d/%m/%Y"
    assert drafted.columns()["Région"].values == [
        "Bretagne",
        "Côte d'Azur",
        "Rhône-Alpes",
        "Île-de-France",
    ]
    assert drafted.params.as_of == datetime.date(2024, 6, 1)
    assert next(iter(drafted.params.sources)) == "clients_resilies"


def test_an_excel_workbook_whose_first_sheet_describes_the_columns(
    draft: Drafting, data: Path
) -> None:
    """The sheet with the table is taken; the other one gives the descriptions."""
    drafted = draft(*many_tables.shop(data))
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert source.sheet == "Shop Comm"
    assert drafted.columns()["Tenure"].description == "Tenure, as the shop counts it"
    assert drafted.column_label.positive == "1"
    assert "COD and Cash on Delivery" in drafted.told
    assert "'Data Dict': it describes the columns" in drafted.told


def test_four_tables_that_call_the_customer_otherwise(draft: Drafting, data: Path) -> None:
    """The table of the answer comes first; keys, many rows, their time, and what a
    missing row means are written.
    """
    drafted = draft(*many_tables.four_tables(data))
    sources = drafted.params.sources
    assert next(iter(sources)) == "vertraege"
    assert drafted.params.customer_id == "Vertragskunde"
    assert {name: source.key for name, source in sources.items()} == {
        "vertraege": None,
        "kunden": "kundennr",
        "karten": "kunden_id",
        "buchungen": "Kunde",
    }
    assert (sources["buchungen"].many, sources["buchungen"].time) == (True, "Buchungsdatum")
    assert (sources["karten"].absent, sources["karten"].present) == (
        {"*": "No karten"},
        "has_karten",
    )
    assert not sources["kunden"].absent
    assert drafted.left_out("buchungen") == {"booking_id"}
    assert (drafted.column_label.column, drafted.column_label.positive) == ("gekündigt", "ja")


def test_subscriptions_with_end_dates(draft: Drafting, data: Path) -> None:
    """The end date is the label, with a horizon that the data reaches; today's status
    and the reason are left out.
    """
    drafted = draft(*one_table.subscriptions(data))
    label = drafted.end_label
    assert (label.begin_date, label.end_date) == ("signup_date", "cancelled_on")
    assert label.horizon_days == 90
    frame = pd.read_csv(data / "subscriptions.csv", parse_dates=["cancelled_on"])
    last = drafted.params.as_of_dates[0] + datetime.timedelta(days=90)
    assert last == frame["cancelled_on"].max().date()
    assert drafted.left_out() == {"status", "cancel_reason"}
    assert not drafted.params.stages


def test_monthly_files_are_snapshots(draft: Drafting, data: Path) -> None:
    """The month in the names of the files becomes the column of the as-of day; later
    files will match the pattern.
    """
    drafted = draft(data, *one_table.monthly(data))
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert source.file == (data / "snapshot_*.csv").as_posix()
    assert (source.part_column, source.part_pattern) == ("month", r"(\d{4}-\d{2})")
    assert drafted.params.as_of == AsOfColumn(column="month")
    assert drafted.params.customer_id == "account_no"
    assert drafted.column_label.column == "churn_next_month"


def test_snapshots_in_one_file(draft: Drafting, data: Path) -> None:
    """An id and a month that name a row together make the month the as-of day."""
    files = one_table.monthly(data)
    frames = [pd.read_csv(file).assign(period=file.stem[-7:]) for file in files]
    path = write_csv(pd.concat(frames), data / "all.csv")
    drafted = draft(path)
    assert drafted.params.as_of == AsOfColumn(column="period")
    assert "800 customers; unique together with period" in drafted.said("customer id:")


def test_an_anonymous_table_of_many_columns(draft: Drafting, data: Path) -> None:
    """230 columns without meaning, most of them nearly empty: numbered rows, `target`
    of -1 and 1, and no complaint.
    """
    drafted = draft(*one_table.anonymous(data))
    assert (drafted.column_label.column, drafted.column_label.positive) == ("target", "1")
    assert len(drafted.columns()) == 231
    assert drafted.params.numbers_rows
    assert drafted.columns()["Var1"].type == "number"
    assert "98.0% missing" in drafted.comment("Var1")


def test_an_export_in_utf_16_with_twins_of_the_label(draft: Drafting, data: Path) -> None:
    """The text is the label; its numeric twin, the score and the reason are left out,
    and so are constant columns.
    """
    drafted = draft(*one_table.wide_text(data))
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert (source.encoding, source.delimiter) == ("utf-16", "\t")
    assert drafted.column_label.column == "Churn Label"
    assert drafted.left_out() == {"Churn Value", "Churn Score", "Churn Reason", "Count", "Country"}
    assert drafted.columns()["Zip Code"].type == "category"
    assert drafted.columns()["CLTV"].feature


def test_a_third_answer_and_tables_that_do_not_join(draft: Drafting, data: Path) -> None:
    """Who only joined is neither; a table of postcodes is left out; a dictionary lends
    its descriptions.
    """
    drafted = draft(*many_tables.joined_stayed(data))
    label = drafted.column_label
    assert (label.positive, label.negative) == ("Churned", "Stayed")
    assert "neither" in drafted.said("Joined of Customer Status")
    assert list(drafted.params.sources) == ["customers"]
    assert "customers" in drafted.said("zipcode_population.csv:")
    assert drafted.columns()["Offer"].values == ["None", "Offer A", "Offer B"]
    assert drafted.columns()["Offer"].description == "The Offer of the customer"
    assert drafted.left_out() == {"Churn Category"}
    assert "may -1 mean missing?" in drafted.told


def test_a_part_without_the_answer_is_left_out(draft: Drafting, data: Path) -> None:
    """The test part of a competition and its sample of a submission are not used, and that
    is said.
    """
    drafted = draft(data, *one_table.kaggle(data))
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert Path(str(source.file)).name == "train.csv"
    assert "answer" in drafted.said("test.csv: its 600 rows")
    assert drafted.said("sample_submission.csv:")


@pytest.mark.parametrize("packed", ["gz", "zip", "parquet"])
def test_packed_files_and_parquet(draft: Drafting, data: Path, packed: str) -> None:
    """What is packed, or Parquet, comes out like the plain file."""
    (plain,) = one_table.bank(data)
    path = data / f"bank.csv.{packed}"
    if packed == "gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))
    elif packed == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(plain, "inner.csv")
    else:
        path = data / "bank.parquet"
        pd.read_csv(plain).to_parquet(path)
    expected, drafted = draft(plain), draft(path)
    assert drafted.columns() == expected.columns()
    assert drafted.params.label == expected.params.label


def test_json_lines_from_a_web_server(draft: Drafting) -> None:
    """An address is fetched; `is_active` says the opposite of the answer."""
    body = one_table.json_lines()
    with serving(lambda request: Answer(body)) as server:
        drafted = draft(f"{server.address}/export/users.jsonl?version=2")
        source = drafted.params.sources["users"]
    assert isinstance(source, FileSource)
    assert source.file == f"{server.address}/export/users.jsonl?version=2"
    assert (drafted.column_label.column, drafted.column_label.positive) == ("is_active", "false")
    assert drafted.params.customer_id == "user_id"
    assert not drafted.columns()["spent"].required


def load_tables(address: str) -> None:
    """Put the shop's tables into a database."""
    engine = sa.create_engine(address)
    for name, frame in many_tables.whole_database().items():
        frame.to_sql(name, engine, index=False)
    engine.dispose()


def check_database(drafted: object) -> None:
    """The three tables that belong together are there, and `id` means the customer in each."""
    params = drafted.params  # type: ignore[attr-defined]
    assert list(params.sources) == ["customers", "orders", "profiles"]
    assert params.customer_id == "id"
    assert params.label.column == "churned"
    orders, profiles = params.sources["orders"], params.sources["profiles"]
    assert (orders.many, orders.time, orders.key) == (True, "ordered_at", None)
    assert "AS orders_id" in orders.query
    assert profiles.key == "customer_id"
    assert not params.sources["customers"].columns["name"].feature


def test_a_file_of_sqlite(draft: Drafting, data: Path) -> None:
    """A SQLite file is a database by its first bytes; tables that share no customers are
    left out.
    """
    load_tables(f"sqlite:///{data / 'shop.data'}")
    drafted = draft(data / "shop.data")
    check_database(drafted)
    assert drafted.said("table schema_version:")
    with sqlite3.connect(data / "shop.data") as database:
        assert database.execute("select count(*) from customers").fetchone() == (1500,)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a real PostgreSQL server with the shop's tables."""
    if find_postgres() is None:
        pytest.skip("PostgreSQL is not installed")
    with serving_postgres() as address:
        load_tables(address)
        yield address


def test_postgres_without_its_password(
    draft: Drafting, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password stands neither in the file nor in the terminal, but the variable
    that has to hold it.
    """
    monkeypatch.delenv("POSTGRES_PASSWORD", raising=False)
    drafted = draft(postgres)
    check_database(drafted)
    source = drafted.params.sources["customers"]
    assert isinstance(source, DatabaseSource)
    assert source.database == postgres.replace(POSTGRES_PASSWORD, "${POSTGRES_PASSWORD}")
    assert POSTGRES_PASSWORD not in drafted.text + drafted.told
    assert drafted.said("Set the environment variable POSTGRES_PASSWORD")
