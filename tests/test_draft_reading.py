"""What `churn init` finds out from bytes: encoding, delimiter, header, titles, sheets, archives, samples, addresses."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapes
from drafts import Drafting, make_drafting, refuse
from hypothesis import given
from hypothesis import strategies as st
from servers import Answer, serving

from draft import samples
from draft.encodings import READ, find_broken_utf8, find_encoding
from draft.inputs import DraftError, find_inputs
from draft.layouts import find_layout, has_header
from draft.reading import name_source, read_tables
from params import FileSource
from sources.encodings import Text

WORDS = {
    "French": [
        "identifiant",
        "région",
        "résilié",
        "forfait illimité",
        "Île-de-France",
        "Côte d'Azur",
        "été",
        "français",
    ],
    "German": ["Kundennummer", "Straße", "gekündigt", "Größe", "Müller", "Köln", "für"],
    "Spanish": ["año", "sí", "España", "teléfono", "niño", "dirección"],
    "Portuguese": ["São Paulo", "Não", "situação", "ação"],
    "Nordic": ["Göteborg", "Malmö", "Örebro", "Jönköping", "Århus", "sørøst"],
    "Polish": ["województwo", "łódzkie", "śląskie", "Gdańsk", "zażółć gęślą jaźń"],
    "Czech": ["Příjmení", "Středočeský", "Plzeňský", "žena", "muž"],
    "Hungarian": ["Ügyfél", "Győr", "Székesfehérvár", "űrlap"],
    "Russian": ["Клиент", "отток", "Москва", "Санкт-Петербург"],
    "Greek": ["πελάτης", "Αθήνα", "όχι"],
    "Turkish": ["müşteri", "ayr\u0131ld\u0131", "İstanbul", "Kad\u0131köy", "Şişli"],
}
CODE_PAGES = {
    "cp1252": ["French", "German", "Spanish", "Portuguese", "Nordic"],
    "latin-1": ["French", "German", "Spanish", "Portuguese", "Nordic"],
    "cp850": ["French", "German", "Spanish", "Portuguese", "Nordic"],
    "mac-roman": ["French", "German"],
    "cp1250": ["Polish", "Czech", "Hungarian"],
    "iso8859-2": ["Polish"],
    "cp1251": ["Russian"],
    "koi8-r": ["Russian"],
    "cp1253": ["Greek"],
    "cp1254": ["Turkish"],
}


@pytest.fixture
def draft(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Drafting:
    """Drafts from what it is given."""
    return make_drafting(tmp_path, capsys)


@pytest.mark.parametrize(
    ("encoding", "language"), [(page, language) for page, languages in CODE_PAGES.items() for language in languages]
)
def test_code_pages_are_told_by_their_letters(encoding: str, language: str) -> None:
    """A header and a few values are enough to read the words as they were written."""
    text = "id;value\n1;10 %\n" + "\n".join(WORDS[language])
    data = text.encode(encoding)
    assert data.decode(find_encoding(data)) == text


@pytest.mark.parametrize("times", [1, 60])
@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp932", "顧客ID,性別,月額料金,解約\nC1,男性,3000円,はい\nC2,女性,4120円,いいえ\n"),
        (
            "euc_jp",
            "顧客ID,性別,契約日,契約期間(月),問い合わせ回数,プラン,解約\n1,男性,1/2,3,2,月契約,はい\n2,女性,1/3,9,2,年契約,いいえ\n",
        ),
        ("gbk", "客户编号,性别,套餐,月租费,是否流失\n1001,男,畅享套餐,129元,否\n1002,女,大王卡,19元,是\n"),
        ("big5", "客戶編號,性別,方案,月租費,是否流失\n1001,男,月約,129,否\n1002,女,年約,19,是\n"),
        ("cp949", "고객번호,성별,요금제,이탈여부\n1001,남성,월정액,예\n1002,여성,약정,아니오\n"),
    ],
)
def test_east_asian_encodings_are_told(encoding: str, text: str, times: int) -> None:
    """Characters of two bytes are not taken for letters of a code page."""
    data = (text * times).encode(encoding)
    assert data.decode(find_encoding(data)) == text * times


@given(
    st.lists(st.sampled_from([word for words in WORDS.values() for word in words]), min_size=1, max_size=30),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_unicode_is_told_with_and_without_its_mark(words: list[str], encoding: str, line_break: str) -> None:
    """Whatever the language, UTF-8, 16 and 32 are read as they were written; UTF-8 without being told."""
    text = line_break.join(["id,word", *(f"{n},{word}" for n, word in enumerate(words)), ""])
    data = text.encode(encoding)
    found = find_encoding(data)
    assert data.decode(found).removeprefix("\N{BYTE ORDER MARK}") == text
    assert (found == READ) == encoding.startswith("utf-8")


@given(st.lists(st.sampled_from(WORDS["French"] + WORDS["German"]), min_size=2, max_size=40, unique=True))
def test_western_words_in_windows_code_page(words: list[str]) -> None:
    """Any mixture of French and German words in Windows' code page is read as it was written."""
    text = "\n".join(words)
    assert text.encode("cp1252").decode(find_encoding(text.encode("cp1252"))) == text


def test_a_broken_byte_in_utf_8_is_found() -> None:
    """Among letters of UTF-8 one byte that is none is told by its position; a code page has no such byte."""
    data = "été à Besançon, août ".encode() * 20
    assert find_broken_utf8(data[:50] + b"\xe9 " + data[50:]) == 50
    assert find_broken_utf8("été à Besançon".encode("cp1252") * 20) is None


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)


@given(
    st.lists(st.lists(CELLS, min_size=4, max_size=4), min_size=6, max_size=20),
    st.sampled_from(",;\t|"),
)
def test_the_delimiter_is_found(rows: list[list[str]], delimiter: str) -> None:
    """Quoted as `csv` quotes them, any four columns come apart at the delimiter that they were joined with."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([["one", "two", "three", "four"], *rows])
    assert find_layout(Text(text.getvalue().encode())).get("delimiter", ",") == delimiter


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_are_no_delimiters(delimiter: str) -> None:
    """Rows whose every number has a comma are not split at it."""
    rows = [["id", "price", "sum"], *([str(n), f"{n},5", f"{n * 3},25"] for n in range(20))]
    text = "\n".join(delimiter.join(row) for row in rows) + "\n"
    assert find_layout(Text(text.encode()))["delimiter"] == delimiter


def test_a_missing_header_is_noticed() -> None:
    """Numbers over numbers, or a text that comes again below, are data; a text over numbers names them."""
    rows = [["k1", "34", "yes"], ["k2", "35", "no"], ["k3", "31", "yes"], ["k4", "30", "no"]]
    assert not has_header(rows)
    assert has_header([["key", "age", "left"], *rows])
    assert (
        has_header([["2019", "2020", "name"], ["1", "2", "a"], ["3", "4", "a"], ["5", "6", "b"], ["5", "6", "b"]])
        is False
    )
    assert not has_header([["-1"], ["1"], ["-1"]])
    assert has_header([["only"], ["texts"], ["here"]])


def test_a_file_without_a_header_is_drafted(draft: Drafting, tmp_path: Path) -> None:
    """Its columns are numbered, and the label has to be named."""
    (bank,) = shapes.bank(tmp_path, 400)
    headless = tmp_path / "headless.csv"
    headless.write_text("".join(bank.read_text().splitlines(keepends=True)[1:]))
    drafted = draft(headless, label="column_14=1")
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert not source.header
    assert drafted.params.customer_id == "column_2"
    assert "no header" in drafted.told


def test_titles_above_the_table_are_skipped(draft: Drafting, tmp_path: Path) -> None:
    """Lines above the names of the columns are counted, in text and in Excel."""
    (bank,) = shapes.bank(tmp_path, 300)
    titled = tmp_path / "titled.csv"
    titled.write_text(f"Bank of Nowhere\nas of 2024-01-01\n\n{bank.read_text()}")
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Bank of Nowhere"])
    for row in csv.reader(bank.open()):
        sheet.append(row)
    book.save(tmp_path / "titled.xlsx")
    for path, lines in ((titled, 3), (tmp_path / "titled.xlsx", 1)):
        drafted = draft(path)
        (source,) = drafted.params.sources.values()
        assert isinstance(source, FileSource)
        assert source.skip_rows == lines
        assert drafted.column_label.column == "Exited"


def test_two_sheets_are_two_tables(draft: Drafting, tmp_path: Path) -> None:
    """Sheets that share customers are joined like files."""
    (bank,) = shapes.bank(tmp_path, 300)
    frame = pd.read_csv(bank)
    with pd.ExcelWriter(tmp_path / "two.xlsx") as book:
        frame[["CustomerId", "Surname", "Age"]].to_excel(book, sheet_name="Customer Info", index=False)
        frame[["CustomerId", "Balance", "Exited"]].to_excel(book, sheet_name="Account Info", index=False)
    drafted = draft(tmp_path / "two.xlsx")
    assert list(drafted.params.sources) == ["account_info", "customer_info"]
    assert [source.sheet for source in drafted.params.sources.values() if isinstance(source, FileSource)] == [
        "Account Info",
        "Customer Info",
    ]


def test_an_archive_of_several_files(draft: Drafting, tmp_path: Path) -> None:
    """Each file of a zip archive is looked at, as if it were unpacked."""
    files = shapes.kaggle(tmp_path, 800)
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for path in files:
            archive.write(path, f"data/{path.name}")
        archive.writestr("__MACOSX/._train.csv", "litter")
        archive.writestr("README.md", "about")
    drafted = draft(tmp_path / "archive.zip")
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert source.file == f"zip://data/train.csv::{(tmp_path / 'archive.zip').as_posix()}"
    assert "test.csv: its 240 rows lack the answer" in drafted.told


def test_rows_of_another_length_are_allowed_for(draft: Drafting, tmp_path: Path) -> None:
    """A few rows with too many fields are counted, and the setting that lets ingestion set them aside is written."""
    (bank,) = shapes.bank(tmp_path, 300)
    bank.write_text(bank.read_text() + "1,2,3\n" * 2)
    drafted = draft(bank)
    assert drafted.params.stages["ingestion"] == {"malformed_rows_allowed": 2}
    assert "malformed_rows_allowed is set to 2" in drafted.told


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_large_file_is_read_in_part(
    draft: Drafting, tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file beyond the limit, lines from all over it are read, and the draft says so; `é` stays what it is."""
    monkeypatch.setattr(samples, "MOST_BYTES", 100_000)
    (bank,) = shapes.bank(tmp_path, 6000)
    large = tmp_path / "large.csv"
    large.write_text(bank.read_text().replace("France", "Féroé"), encoding=encoding)
    drafted = draft(large)
    assert "about 6,0" in drafted.told or "about 5,9" in drafted.told
    assert "rows from all over it were read" in drafted.told
    assert drafted.columns()["Geography"].values == ["Féroé", "Germany", "Spain"]
    assert drafted.params.customer_id == "CustomerId"
    assert "in the" in drafted.told.partition("unique ")[2][:10]


def test_a_large_parquet_file_is_read_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups from all over it are read."""
    monkeypatch.setattr(samples, "MOST_CELLS", 20_000)
    (bank,) = shapes.bank(tmp_path, 6000)
    pd.read_csv(bank).to_parquet(tmp_path / "large.parquet", row_group_size=500)
    assert pq.ParquetFile(tmp_path / "large.parquet").num_row_groups == 12
    (table,), _ = read_tables(find_inputs([str(tmp_path / "large.parquet")], tmp_path)[0], tmp_path)
    assert table.rows == 6000
    assert table.is_part
    assert len(table.frame) < 1200
    assert table.frame["RowNumber"].astype(int).max() > 5000


def test_a_packed_file_is_read_from_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is packed cannot be read from the middle, so its start has to do."""
    monkeypatch.setattr(samples, "MOST_BYTES", 100_000)
    (bank,) = shapes.bank(tmp_path, 6000)
    packed = tmp_path / "large.csv.gz"
    packed.write_bytes(gzip.compress(bank.read_bytes()))
    (table,), _ = read_tables(find_inputs([str(packed)], tmp_path)[0], tmp_path)
    assert table.is_part
    assert 4_000 < table.rows < 9_000
    assert table.frame["RowNumber"].tolist() == [str(n) for n in range(1, len(table.frame) + 1)]


def test_what_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file, an empty folder, a pattern without a match, and a damaged archive have their own messages."""
    (tmp_path / "customers.csv").write_text("id\n1\n")
    (tmp_path / "empty").mkdir()
    assert "Did you mean 'customers.csv'?" in refuse(tmp_path, capsys, tmp_path / "custmers.csv")
    assert "has no data file" in refuse(tmp_path, capsys, tmp_path / "empty")
    assert "No file matches" in refuse(tmp_path, capsys, tmp_path / "*.parquet")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(np.random.default_rng(0).bytes(500_000))[:-100_000])
    assert "cut.gz" in refuse(tmp_path, capsys, tmp_path / "cut.gz")
    (tmp_path / "page.csv").write_text("<html><body>Log in</body></html>")
    assert "a page of HTML" in refuse(tmp_path, capsys, tmp_path / "page.csv")
    assert "knows no such kind" in refuse(tmp_path, capsys, "nosuchdb://user@host/crm")
    with serving(lambda request: Answer(status=404)) as server:
        assert "no such file" in refuse(tmp_path, capsys, f"{server.address}/nothing.csv")


@pytest.mark.parametrize(
    ("address", "written", "variables"),
    [
        ("postgresql://crm:p@ss@db:5432/sales", "postgresql://crm:${SALES_PASSWORD}@db:5432/sales", ["SALES_PASSWORD"]),
        ("postgresql://crm:${PW}@db/sales", "postgresql://crm:${PW}@db/sales", []),
        (
            "https://host/a/users.csv?api_key=12345&v=2",
            "https://host/a/users.csv?api_key=${USERS_API_KEY}&v=2",
            ["USERS_API_KEY"],
        ),
        ("s3://bucket/churn.parquet", "s3://bucket/churn.parquet", []),
    ],
)
def test_secrets_become_variables(
    address: str, written: str, variables: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords and keys within an address are replaced, and set for the time of the draft."""
    monkeypatch.setenv("PW", "secret")
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    ((found,), _) = find_inputs([address], Path())
    assert (found.written, list(found.variables)) == (written, variables)
    assert [name for name in variables if not os.environ.get(name)] == []


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (b"<stata_dta><header>", "one of Stata; save it as CSV or Parquet"),
        (b"r\x02\x01\0" + bytes(600), "one of Stata"),
        (b"$FL2@(#) SPSS DATA FILE", "one of SPSS"),
        (b"% from Weka\n@RELATION churn\n@attribute fee numeric\n@data\n1\n2\n", "one of Weka (ARFF)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Excel file (.xls)"),
    ],
)
def test_files_of_other_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str], start: bytes, told: str) -> None:
    """What another program wrote is not taken for text of an odd encoding, or for a table without a header."""
    path = tmp_path / "churn.dat"
    path.write_bytes(start)
    assert told in refuse(tmp_path, capsys, path)


def test_a_folder_and_what_in_it_is_no_data(tmp_path: Path) -> None:
    """Each data file of a folder is looked at once; hidden ones are not, and others are told."""
    for name in ("a.csv", "b.parquet", ".hidden.csv", "notes.md", "~$open.xlsx"):
        (tmp_path / name).write_text("x")
    inputs, left_out = find_inputs([str(tmp_path), str(tmp_path / "a.csv")], tmp_path)
    assert [one.written for one in inputs] == ["a.csv", "b.parquet"]
    assert left_out == ["notes.md: not a data file by its name"]
    with pytest.raises(DraftError):
        find_inputs([str(tmp_path / "nothing")], tmp_path)


def test_names_of_sources() -> None:
    """A source is named in small letters, digits and underscores, whatever the file is called."""
    assert [name_source(text) for text in ("Clients Résiliés", "2024-01", "crm.Orders", "Straße")] == [
        "clients_resilies",
        "table_2024_01",
        "crm_orders",
        "strasse",
    ]


def test_a_byte_order_mark_is_no_letter(draft: Drafting, tmp_path: Path) -> None:
    """A mark in front of the first name does not become part of it, and nothing has to be told of it."""
    (bank,) = shapes.bank(tmp_path, 300)
    bank.write_bytes(codecs.BOM_UTF8 + bank.read_bytes())
    drafted = draft(bank)
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert source.encoding is None
    assert next(iter(drafted.columns())) == "RowNumber"
