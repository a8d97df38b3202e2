"""The sample company: what the generator writes, and how the server hands it out."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

import company
import dirt
import rows
from customers import BLOCK, NETS, PAYMENTS, TYPES, WINDOW_END, WINDOW_START, draw_customers

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "sample"
AS_OF = pd.Timestamp("2025-10-01")
HORIZON = pd.Timedelta(days=92)
TOKEN = "token-of-this-test"
Tables = dict[str, pd.DataFrame]


def read_tables(folder: Path) -> Tables:
    """Read the four tables as they lie in the files: texts, in the order of the file."""
    tables = {"contract": pd.read_csv(folder / "contract.csv", dtype=str, keep_default_na=False)}
    for name, file in (("personal", "crm.sqlite"), ("internet", "services.sqlite"), ("phone", "services.sqlite")):
        with contextlib.closing(sqlite3.connect(folder / file)) as database:
            tables[name] = pd.read_sql(f"SELECT * FROM {name} ORDER BY rowid", database)
    return tables


def clean_tables(customers: int, seed: int) -> Tables:
    """Make the tables of one block without dirt, in the order in which they are drawn."""
    tables = rows.make_tables(draw_customers(seed, 0), seed, 0, customers)
    return {name: pd.DataFrame(table) for name, table in tables.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default company of 7,000 customers."""
    return company.make(tmp_path_factory.mktemp("sample") / "made", 7_000, 7)


@pytest.fixture(scope="module")
def made_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest company, 1,000 customers."""
    return company.make(tmp_path_factory.mktemp("sample") / "made", 1_000, 7)


@pytest.fixture(params=["made_small", "made"])
def folder(request: pytest.FixtureRequest) -> Path:
    """Each of the two companies in turn."""
    made_folder: Path = request.getfixturevalue(request.param)
    return made_folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("customers", [1_000, 7_000])
def test_clean_rows_relate_as_in_the_real_tables(customers: int) -> None:
    """Before dirt, ids are unique, everyone has a person and a service, and no service row lacks its contract."""
    tables = clean_tables(customers, seed=7)
    ids = {name: set(table["customerID"]) for name, table in tables.items()}
    assert all(len(ids[name]) == len(table) for name, table in tables.items())
    assert len(ids["contract"]) == customers
    assert ids["personal"] == ids["contract"] == ids["internet"] | ids["phone"]
    assert 0.7 < len(ids["internet"]) / customers < 0.9
    assert 0.8 < len(ids["phone"]) / customers < 0.98
    assert all(re.fullmatch(r"\d{4}-[A-Z]{5}", name) for name in ids["contract"])


@pytest.mark.parametrize("customers", [1_000, 7_000])
def test_contracts_begin_and_end_all_over_the_window(customers: int) -> None:
    """Contracts begin up to six years before the window and on any of its days, and end on any of its days."""
    contract = clean_tables(customers, seed=7)["contract"]
    begin = pd.to_datetime(contract["BeginDate"], format="%Y-%m-%d")
    end = pd.to_datetime(contract["EndDate"].where(contract["EndDate"] != "No"), format="%Y-%m-%d")
    ended = end.notna()
    assert begin.min() >= pd.Timestamp("2018-01-01")
    assert begin.max() < pd.Timestamp(WINDOW_END)
    assert end[ended].between(pd.Timestamp(WINDOW_START), pd.Timestamp(WINDOW_END)).all()
    assert (end[ended] > begin[ended]).all()
    within = begin[begin >= pd.Timestamp(WINDOW_START)]
    for days in (within, end[ended]):
        assert days.dt.to_period("M").nunique() == 24
        assert days.dt.day.nunique() == 31


def test_long_contracts_end_mostly_at_their_renewal() -> None:
    """Contracts of one and two years end mostly on the day of the month on which they renew, some on an anniversary."""
    contract = clean_tables(BLOCK, seed=7)["contract"].query("EndDate != 'No'")
    begin, end = contract["BeginDate"].str, contract["EndDate"].str
    same_day = (begin[8:] == end[8:]).groupby(contract["Type"]).mean()
    anniversary = (begin[5:] == end[5:]).groupby(contract["Type"]).mean()
    for term in TYPES[1:]:
        assert same_day[term] > 0.6
        assert anniversary[term] > 0.15
    assert same_day["Month-to-month"] < 0.06
    assert anniversary["Month-to-month"] < 0.01


def test_total_charges_accumulate() -> None:
    """The total is about the monthly charge times the months until the contract or the window ends."""
    contract = clean_tables(7_000, seed=7)["contract"]
    end = pd.to_datetime(contract["EndDate"].replace("No", str(WINDOW_END)))
    days = (end - pd.to_datetime(contract["BeginDate"])).dt.days
    months = np.maximum(np.ceil(days / 30.4375), 1)
    ratio: pd.Series = contract["TotalCharges"].astype(float) / contract["MonthlyCharges"].astype(float) / months
    assert ratio.between(0.85, 1.15).all()
    assert 0.005 < ratio.std() < 0.03


def test_ids_differ_up_to_ten_million_customers() -> None:
    """No two of ten million customers, and no orphan behind them, share an id (looked at in samples of the range)."""
    numbers = np.unique(np.random.default_rng(0).integers(0, 2 * rows.MOST_CUSTOMERS, size=200_000))
    numbers = np.union1d(numbers, np.arange(2 * rows.MOST_CUSTOMERS - 50_000, 2 * rows.MOST_CUSTOMERS))
    for seed in (0, 7, 2**63):
        assert len(set(rows.customer_ids(seed, numbers))) == len(numbers)


def test_same_seed_gives_identical_bytes(made_small: Path, tmp_path: Path) -> None:
    """The same customers and seed give the same bytes in another folder; another seed gives others."""
    again = company.make(tmp_path / "again", 1_000, 7)
    other = company.make(tmp_path / "other", 1_000, 8)
    assert contents(again) == contents(made_small)
    assert all(contents(other)[name] != data for name, data in contents(made_small).items())


def test_first_block_does_not_depend_on_customers(made_small: Path, tmp_path: Path) -> None:
    """A full first block is the same rows however many follow, and fewer customers are the first of the many."""
    small, large = (company.make(tmp_path / str(size), size, 7) for size in (BLOCK, BLOCK + 3_000))
    for few, many in zip(read_tables(small).values(), read_tables(large).values(), strict=True):
        assert len(few) < len(many)
        pd.testing.assert_frame_equal(few, many.head(len(few)))
    few_customers, many_customers = clean_tables(1_000, 7)["contract"], clean_tables(7_000, 7)["contract"]
    pd.testing.assert_frame_equal(few_customers, many_customers.head(1_000))


def test_order_of_rows_says_nothing_of_churn(made: Path) -> None:
    """The place of a row in its file does not tell whether its contract has ended."""
    contract = read_tables(made)["contract"]
    ended = (contract["EndDate"] != "No").astype(float)
    assert abs(np.corrcoef(np.arange(len(ended)), ended)[0, 1]) < 4 / np.sqrt(len(ended))


def count_dirt(tables: Tables) -> dict[str, dict[str, int]]:
    """Count each kind of dirt from the tables alone."""
    contract, personal = tables["contract"], tables["personal"]
    known = set(contract["customerID"])
    begin, end = contract["BeginDate"], contract["EndDate"]
    blank = {
        column: int((table[column].str.strip() == "").sum())
        for table, column in ((contract, "TotalCharges"), (contract, "PaymentMethod"), (personal, "gender"))
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
    """made.json holds the very counts of rows and of each kind of dirt that the files hold, and each kind is there."""
    record, tables = json.loads((folder / "made.json").read_text()), read_tables(folder)
    counted = count_dirt(tables)
    assert record["dirt"] == counted
    assert record["rows"] == {name: len(table) for name, table in tables.items()}
    assert {name: set(kinds) for name, kinds in counted.items()} == {n: set(rates) for n, rates in dirt.RATES.items()}
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
    assert set(tables["internet"]["InternetService"]) == {*NETS[1:], *(f"{net} " for net in NETS[1:])}
    assert tables["contract"]["TotalCharges"].str.fullmatch(r"\d{1,2},\d{3}\.\d\d").any()


def test_later_row_of_conflicting_duplicates_is_valid(made: Path) -> None:
    """Keeping the last row of each id gives back the values that were drawn."""
    drawn = clean_tables(7_000, 7)
    for name, column in (("contract", "MonthlyCharges"), ("personal", "Partner")):
        distinct = read_tables(made)[name].drop_duplicates()
        conflicting = distinct[distinct.duplicated("customerID", keep=False)]
        last = conflicting.drop_duplicates("customerID", keep="last").set_index("customerID")
        truth = drawn[name].set_index("customerID").loc[last.index]
        pd.testing.assert_frame_equal(last, truth)
        first = conflicting.drop_duplicates("customerID", keep="first").set_index("customerID")
        assert (first.loc[last.index, column] != truth[column]).all()


def churn_model() -> Pipeline:
    """Logistic regression with splines on the numbers, one-hot on the rest."""
    encode = make_column_transformer(
        (SplineTransformer(n_knots=6), ["tenure", "MonthlyCharges"]),
        remainder=OneHotEncoder(handle_unknown="ignore"),
    )
    return make_pipeline(encode, LogisticRegression(C=0.5, max_iter=1_000))


def snapshot(tables: Tables) -> tuple[pd.DataFrame, pd.Series]:
    """Return what is known of the active customers at the as-of date, and whether they leave within the horizon."""
    table = tables["contract"]
    for name in ("personal", "internet", "phone"):
        table = table.merge(tables[name], on="customerID", how="left", validate="one_to_one")
    begin = pd.to_datetime(table["BeginDate"])
    end = pd.to_datetime(table["EndDate"].where(table["EndDate"] != "No"))
    active = (begin < AS_OF) & (end.isna() | (end >= AS_OF))
    numbers = {"tenure": (AS_OF - begin).dt.days / 30.4375, "MonthlyCharges": table["MonthlyCharges"].astype(float)}
    features = (
        table.drop(columns=["customerID", "BeginDate", "EndDate", "TotalCharges"]).assign(**numbers).fillna("none")
    )
    return features[active], end[active].le(AS_OF + HORIZON)


@pytest.mark.parametrize("seed", [7, 2025])
def test_honest_model_reaches_a_believable_auc(seed: int) -> None:
    """A logistic regression on what is known at the as-of date reaches an AUC of 0.80 to 0.88; 15 to 25 % leave."""
    features, churned = snapshot(clean_tables(7_000, seed))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_score(churn_model(), features, churned, cv=folds, scoring="roc_auc")
    assert 0.80 < scores.mean() < 0.88
    assert 0.15 < churned.mean() < 0.25
    assert len(churned) > 2_500


def test_churn_follows_what_analysts_expect() -> None:
    """New, monthly, fiber, electronic-check customers without security leave more often than the others."""
    features, churned = snapshot(clean_tables(BLOCK, 7))
    has_internet = features["InternetService"] != "none"

    def rate(mask: pd.Series) -> float:
        return float(churned[mask].mean())

    assert rate(features["tenure"] < 3) > 2 * rate(features["tenure"] > 24)
    rates = [rate(features["Type"] == term) for term in TYPES]
    assert rates == sorted(rates, reverse=True)
    rates = [rate(features["InternetService"] == net) for net in NETS]
    assert rates == sorted(rates)
    assert rate(features["PaymentMethod"] == PAYMENTS[0]) > 1.2 * rate(features["PaymentMethod"] != PAYMENTS[0])
    for protection in ("OnlineSecurity", "TechSupport"):
        unprotected = rate(has_internet & (features[protection] == "No"))
        assert rate(has_internet & (features[protection] == "Yes")) < 0.8 * unprotected
    for column in ("Partner", "Dependents"):
        assert rate(features[column] == "Yes") < rate(features[column] == "No")
    assert rate(features["SeniorCitizen"] == "1") > rate(features["SeniorCitizen"] == "0")
    assert rate(features["PaperlessBilling"] == "Yes") > rate(features["PaperlessBilling"] == "No")


def test_columns_are_those_of_the_real_tables(made: Path, shared_data: Path) -> None:
    """The four tables have the columns of the real ones, in the same order."""
    for name, table in read_tables(made).items():
        real = pd.read_csv(shared_data / "interconnect" / f"{name}.csv", nrows=0)
        assert list(table.columns) == list(real.columns)


def stamps(folder: Path) -> dict[str, int]:
    """Return when each file of a folder was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_made_company_is_not_made_again(tmp_path: Path) -> None:
    """The same request writes nothing; another seed replaces the folder and leaves nothing beside it."""
    folder = company.make(tmp_path / "made", 1_000, 7)
    before = stamps(folder)
    assert company.make(tmp_path / "made", 1_000, 7) == folder
    assert stamps(folder) == before
    company.make(tmp_path / "made", 1_000, 8)
    assert json.loads((folder / "made.json").read_text())["seed"] == 8
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_cut_file_is_made_again(tmp_path: Path) -> None:
    """A company whose file was cut short is made anew."""
    folder = company.make(tmp_path / "made", 1_000, 7)
    whole = contents(folder)
    (folder / "contract.csv").write_bytes(whole["contract.csv"][:-1])
    company.make(folder, 1_000, 7)
    assert contents(folder) == whole


@pytest.mark.parametrize("record", ["", "[]", '{"customers": 1000}', '{"customers": 1000, "seed": 7, "version": "0"}'])
def test_record_of_another_kind_is_made_again(record: str, made_small: Path, tmp_path: Path) -> None:
    """A made.json that is broken or of another version of the generator does not count as made."""
    folder = Path(shutil.copytree(made_small, tmp_path / "made"))
    (folder / "made.json").write_text(record)
    company.make(folder, 1_000, 7)
    assert contents(folder) == contents(made_small)


def test_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    """A folder that holds anything else is left as it is, and the message names what it holds."""
    (tmp_path / "thesis.docx").write_text("dear to someone")
    with pytest.raises(company.CompanyError, match=r"thesis\.docx"):
        company.make(tmp_path, 1_000, 7)
    assert contents(tmp_path) == {"thesis.docx": b"dear to someone"}


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    """What a killed run left beside the folder hours ago is removed; what a run may still write stays."""
    old, young = (tmp_path / f"made.part-{name}" for name in ("old", "young"))
    for part in (old, young):
        (part / "new").mkdir(parents=True)
    for path in (old / "new", old):
        os.utime(path, (time.time() - 7_200,) * 2)
    company.make(tmp_path / "made", 1_000, 7)
    assert not old.exists()
    assert young.exists()


def test_two_at_once_leave_one_company(made_small: Path, tmp_path: Path) -> None:
    """Two processes that make the same company in the same folder both succeed, and the folder is whole."""
    command = [sys.executable, str(SAMPLE / "company.py"), "--customers", "1000", "--out", str(tmp_path / "made")]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert contents(tmp_path / "made") == contents(made_small)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


@pytest.mark.parametrize(("option", "value"), [("--customers", "999"), ("--customers", "10000001"), ("--seed", "-1")])
def test_numbers_out_of_range_are_refused(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too few or too many customers and a negative seed end with exit code 2 and name the option."""
    assert company.main([option, value, "--out", str(tmp_path / "made")]) == 2
    assert option in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_memory_is_bounded(tmp_path: Path) -> None:
    """300,000 customers, twelve blocks, are made in less than 600 MB."""
    pytest.importorskip("resource", reason="Windows tells no peak memory of a child process")
    options = ["--customers", "300000", "--out", str(tmp_path / "made")]
    # A small process in between: the peak of all children of this one would include what other tests started.
    command = [sys.executable, "-c", MEASURE, str(SAMPLE / "company.py"), *options]
    measured = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    megabytes = measured / 1e6 if sys.platform == "darwin" else measured / 1e3
    assert 10 < megabytes < 600
    assert json.loads((tmp_path / "made" / "made.json").read_text())["rows"]["contract"] > 300_000


@dataclass(frozen=True)
class Served:
    """A running server of the sample company, and a client that sends the right token."""

    process: subprocess.Popen[str]
    client: httpx.Client

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of a request that must succeed."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        return answer.json()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Run the server as its own process while the block runs."""
    command = [sys.executable, str(SAMPLE / "server.py"), "--folder", str(folder)]
    environment, pipe = {**os.environ, "SAMPLE_TOKEN": TOKEN}, subprocess.PIPE
    with subprocess.Popen(command, text=True, env=environment, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            address = stream(process.stdout).readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
            headers = {"Authorization": f"Bearer {TOKEN}"}
            with httpx.Client(base_url=address, headers=headers, trust_env=False) as client:
                yield Served(process, client)
        finally:
            process.kill()


def stream(pipe: IO[str] | None) -> IO[str]:
    """Return a pipe that is known to be open."""
    assert pipe is not None
    return pipe


@pytest.fixture(scope="module")
def served(made: Path) -> Iterator[Served]:
    """The server of the default company."""
    with serving(made) as server:
        yield server


def by_number(served: Served, size: int) -> Iterator[dict[str, str]]:
    """Read all items of /internet page by page."""
    pages = served.get("/internet", size=size)["pages"]
    for page in range(1, pages + 1):
        yield from served.get("/internet", page=page, size=size)["items"]


def by_cursor(served: Served, size: int) -> Iterator[dict[str, str]]:
    """Read all items of /phone from cursor to cursor."""
    cursor: dict[str, str] = {}
    while True:
        answer = served.get("/phone", size=size, **cursor)
        yield from answer["items"]
        if answer["next_cursor"] is None:
            return
        cursor = {"cursor": answer["next_cursor"]}


@pytest.mark.parametrize(("table", "read"), [("internet", by_number), ("phone", by_cursor)])
def test_pages_hold_exactly_the_rows_of_the_table(table: str, read: Any, made: Path, served: Served) -> None:
    """All pages together are the rows of the table, each once and in order, whatever the size of a page."""
    expected = read_tables(made)[table].to_dict("records")
    for size in (997, 5_000):
        assert list(read(served, size)) == expected


def test_pages_that_fill_up_exactly_end_the_reading(made: Path, served: Served) -> None:
    """A last page that is just full has no next cursor, and the page number after the last one has no items."""
    table = read_tables(made)["phone"]
    size = next(size for size in range(5_000, 0, -1) if len(table) % size == 0)
    assert len(list(by_cursor(served, size))) == len(table)
    first = served.get("/internet")
    assert first["page"] == 1
    assert len(first["items"]) == 500
    assert first["pages"] == -(-first["total"] // 500)
    past = served.get("/internet", page=first["pages"] + 1)
    assert past == {"items": [], "page": first["pages"] + 1, "pages": first["pages"], "total": first["total"]}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
@pytest.mark.parametrize("path", ["/internet", "/phone", "/nothing"])
def test_requests_without_the_token_are_refused(path: str, header: dict[str, str], served: Served) -> None:
    """Without the token, or with a wrong one, every path answers 401 in JSON and gives no rows."""
    answer = httpx.get(f"{served.client.base_url}{path}", headers=header, trust_env=False)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        ("/contract", 404, "/contract"),
        ("/", 404, "/internet"),
        ("/internet?size=0", 400, "size"),
        ("/internet?size=5001", 400, "5000"),
        ("/internet?size=ten", 400, "ten"),
        ("/internet?size=", 400, "size"),
        ("/internet?page=0", 400, "page"),
        ("/internet?page=-1", 400, "page"),
        ("/internet?page=99999999999999999999", 400, "page"),
        ("/internet?pgae=2", 400, "pgae"),
        ("/internet?cursor=5", 400, "cursor"),
        ("/phone?cursor=next", 400, "cursor"),
        ("/phone?size=1.5", 400, "size"),
    ],
)
def test_wrong_requests_are_told_apart(path: str, status: int, named: str, served: Served) -> None:
    """An unknown path answers 404, a wrong query 400, both in JSON that names what was wrong."""
    answer = served.client.get(path)
    assert answer.status_code == status
    assert named in answer.json()["error"]


def test_largest_page_number_is_past_the_end(served: Served) -> None:
    """The largest page number that is accepted is served, without items."""
    assert served.get("/internet", page=2**40, size=5_000)["items"] == []


def test_other_methods_are_refused_in_json(served: Served) -> None:
    """Anything but GET is refused, and the server goes on."""
    answer = served.client.post("/internet", json={})
    assert answer.status_code == 501
    assert "POST" in answer.json()["error"]
    assert served.get("/internet", size=1)["items"]


def test_server_ends_when_standard_input_closes(made_small: Path) -> None:
    """Closing standard input ends the server with exit code 0 though a connection is open; nothing was logged."""
    with serving(made_small) as server:
        assert server.get("/phone", size=1)["items"]
        stream(server.process.stdin).close()
        assert server.process.wait(10) == 0
        assert stream(server.process.stderr).read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends the process at once on SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_ends_on_a_signal(number: signal.Signals, made_small: Path) -> None:
    """SIGTERM and Ctrl-C end the server with exit code 0."""
    with serving(made_small) as server:
        assert server.get("/phone", size=1)["items"]
        server.process.send_signal(number)
        assert server.process.wait(10) == 0
        assert stream(server.process.stderr).read() == ""


@pytest.mark.parametrize(("token", "named"), [("", "SAMPLE_TOKEN"), (TOKEN, "services.sqlite")])
def test_server_without_token_or_data_does_not_start(token: str, named: str, tmp_path: Path) -> None:
    """Without a token, or with nothing to serve, the server ends with exit code 2 and names what is missing."""
    ended = subprocess.run(
        [sys.executable, str(SAMPLE / "server.py"), "--folder", str(tmp_path)],
        env={**os.environ, "SAMPLE_TOKEN": token},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert ended.returncode == 2
    assert named in ended.stderr
    assert not ended.stdout
    assert not list(tmp_path.iterdir())


def test_many_readers_get_the_same_rows(made: Path, served: Served) -> None:
    """Several connections at once each get their own page in full."""
    with ThreadPoolExecutor(8) as readers:
        answers = list(readers.map(lambda page: served.get("/internet", page=page, size=100)["items"], range(1, 41)))
    ids = collections.Counter(item["customerID"] for items in answers for item in items)
    assert list(ids) == list(read_tables(made)["internet"]["customerID"].head(4_000))
