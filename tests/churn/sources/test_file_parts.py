"""Several files that are parts of one table: lists, patterns, columns by name, which
file a row came from.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import fsspec
import pytest
from pydantic import ValidationError

from churn.params import FileSource, load_params
from helpers.reading import PLAIN, columns, read_file, refuse_file


@pytest.fixture
def drops(tmp_path: Path) -> Path:
    """A project with three monthly files, of which the last has another column and another
    order.
    """
    folder = tmp_path / "drops"
    folder.mkdir()
    (folder / "crm_2024-02.csv").write_bytes(b"id;plan\n3;plus\n")
    (folder / "crm_2024-01.csv").write_bytes(b"id,plan\n2,basic\n1,plus\n")
    (folder / "crm_2024-03.csv.gz").write_bytes(gzip.compress(b"plan,id,fee\nplus,4,9.5\n"))
    (folder / ".crm_2024-04.csv").write_bytes(b"half a fi")
    (folder / "~$crm_2024-01.csv").write_bytes(b"open in Excel")
    return tmp_path


def test_a_pattern_stands_for_all_files_that_match_in_the_order_of_their_names(drops: Path) -> None:
    """Columns are joined by name, rows stand file by file; what a part lacks is missing and
    noted.
    """
    received = read_file(drops, "drops/crm_*")
    assert columns(received) == {
        "id": ["2", "1", "3", "4"],
        "plan": ["basic", "plus", "plus", "plus"],
        "fee": [None, None, None, "9.5"],
    }
    packed, lacking = received.notes
    assert packed == "crm_2024-03.csv.gz: Unpacked with gzip."
    assert "'fee' is missing in crm_2024-01.csv, crm_2024-02.csv:" in lacking
    assert received.address == "drops/crm_*"


def test_a_list_keeps_its_order_and_names_each_file_once(drops: Path) -> None:
    """What a list and its patterns name twice is read once, at its first place."""
    later = str(drops / "drops/crm_2024-02.csv")
    received = read_file(drops, [later, "drops/crm_2024-0?.csv"])
    assert columns(received)["id"] == ["3", "2", "1"]
    assert received.address == f"{later}, drops/crm_2024-0?.csv"


def test_facts_tell_of_each_part_beside_the_total(drops: Path) -> None:
    """The total is of all bytes one after the other; a single file has no parts."""
    facts = read_file(drops, "drops/crm_2024-0?.csv").provenance()
    contents = [(drops / f"drops/crm_2024-0{month}.csv").read_bytes() for month in (1, 2)]
    assert facts["sha256"] == hashlib.sha256(b"".join(contents)).hexdigest()
    assert (facts["rows"], facts["bytes"]) == (3, sum(map(len, contents)))
    assert facts["parts"] == [
        {
            "file": f"crm_2024-0{month}.csv",
            "rows": rows,
            "malformed_rows": 0,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for month, rows, content in zip((1, 2), (2, 1), contents, strict=True)
    ]
    assert "parts" not in read_file(drops, "drops/crm_2024-01.csv").provenance()


def test_a_column_says_which_file_a_row_came_from(drops: Path) -> None:
    """The file's name without endings, or the first group of a regular expression; of a
    single file too.
    """
    received = read_file(drops, "drops/crm_*", part_column="file")
    assert columns(received)["file"] == ["crm_2024-01", "crm_2024-01", "crm_2024-02", "crm_2024-03"]
    pattern = r"(\d{4}-\d{2})"
    received = read_file(drops, "drops/crm_*", part_column="month", part_pattern=pattern)
    assert list(columns(received)) == ["id", "plan", "month", "fee"]
    assert columns(received)["month"] == ["2024-01", "2024-01", "2024-02", "2024-03"]
    received = read_file(drops, "drops/crm_2024-02.csv", part_column="month", part_pattern=pattern)
    assert columns(received)["month"] == ["2024-02"]


def test_files_of_the_same_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    """`train/data.csv` and `test/data.csv` are parts with different names, and a
    pattern may look at the folder.
    """
    for folder in ("month=1", "month=2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "data.csv").write_bytes(f"id\n{folder[-1]}\n".encode())
    received = read_file(tmp_path, "*/data.csv", part_column="part")
    assert columns(received)["part"] == ["month=1/data", "month=2/data"]
    assert [part["file"] for part in received.parts] == ["month=1/data.csv", "month=2/data.csv"]
    received = read_file(tmp_path, "*/data.csv", part_column="part", part_pattern=r"month=(\d+)/")
    assert columns(received)["part"] == ["1", "2"]
    assert columns(read_file(tmp_path, "**/*.csv"))["id"] == ["1", "2"]


def test_a_part_column_that_cannot_be_made_is_refused(drops: Path) -> None:
    """A file whose name does not match, and a table that has such a column itself, are named."""
    (drops / "drops/crm_old.csv").write_bytes(b"id,plan\n9,plus\n")
    message = refuse_file(drops, "drops/crm_*", part_column="month", part_pattern=r"(\d{4}-\d{2})")
    assert re.search(r"'crm_old\.csv' .*`part_pattern`", message)
    assert "crm_2024-01.csv: has a column 'plan' itself" in refuse_file(
        drops, "drops/crm_*", part_column="plan"
    )


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"file": []}, "expected a path or an address, or a list of them"),
        ({"file": ["a.csv", " "]}, "expected a path or an address, or a list of them"),
        ({"file": 7}, "expected a path or an address, or a list of them"),
        ({"part_column": "month", "part_pattern": "20[0-9"}, "is no regular expression"),
        ({"part_column": "month", "part_pattern": r"\d+"}, "has no group"),
        ({"part_pattern": r"(\d+)"}, "`part_pattern` needs `part_column`"),
    ],
)
def test_facts_that_cannot_be_meant_are_errors(facts: dict[str, object], message: str) -> None:
    """Found when the params file is read, before anything runs."""
    with pytest.raises(ValidationError, match=message.replace("(", r"\(")):
        FileSource.model_validate({"file": "a*.csv", **facts})


def test_hidden_files_and_those_of_open_workbooks_match_no_pattern(drops: Path) -> None:
    """What a pattern for all files finds are the three that hold data."""
    source = FileSource(file="drops/*")
    assert [Path(path).name[4:11] for path in source.find_files(drops)] == [
        "2024-01",
        "2024-02",
        "2024-03",
    ]


def test_a_pattern_without_a_match_names_folder_and_content(drops: Path) -> None:
    """The pattern, the folder that was looked in, and what is there."""
    message = refuse_file(drops, "drops/*.parquet")
    assert (
        f"no file matches 'drops/*.parquet' in {drops / 'drops'}; it holds .crm_2024-04.csv, "
        "crm_2024-01" in message
    )
    assert f"in {drops / 'nowhere'}: there is no such folder" in refuse_file(drops, "nowhere/*.csv")
    assert "what matches are folders" in refuse_file(drops, "dr*")


def test_brackets_in_names_are_no_pattern_where_the_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`report [1].csv` is itself; brackets in the root's name or in a variable mean nothing."""
    root = tmp_path / "a [b]"
    root.mkdir()
    (root / "report [1].csv").write_bytes(PLAIN)
    (root / "report 2.csv").write_bytes(PLAIN)
    monkeypatch.setenv("CHURN_DATA", str(root))
    assert "parts" not in read_file(root, "report [1].csv").provenance()
    assert read_file(root, "report*.csv").rows == 4
    assert read_file(Path("/nowhere"), "${CHURN_DATA}/report?[0-9].csv").rows == 2


def test_a_bad_part_is_named(drops: Path) -> None:
    """An error in one of several files says in which; so does the table of rows that
    were set aside.
    """
    (drops / "drops/crm_2024-02.csv").write_bytes(b"id,plan\n3,plus,x\n")
    assert "crm_2024-02.csv: 1 row(s) do not have" in refuse_file(drops, "drops/crm_*")
    assert "there is no file at" in refuse_file(
        drops, ["drops/crm_2024-01.csv", "drops/crm_2024-09.csv"]
    )
    received = read_file(drops, "drops/crm_*", malformed_allowed=1)
    assert received.malformed.to_dict("records") == [
        {"file": "crm_2024-02.csv", "line": 2, "expected": 2, "fields": 3, "text": "3,plus,x"}
    ]


def test_a_stranger_among_the_parts_is_refused_and_a_copy_noted(drops: Path) -> None:
    """A file with no column in common is no part of the table; two equal files may be a slip."""
    (drops / "drops/crm_2024-01 (1).csv").write_bytes(
        (drops / "drops/crm_2024-01.csv").read_bytes()
    )
    notes = read_file(drops, "drops/crm_*").notes
    assert "byte for byte" in notes[-1]
    assert ": crm_2024-01 (1).csv, crm_2024-01.csv." in notes[-1]
    (drops / "drops/crm_2024-05.csv").write_bytes(b"Kunde,Tarif\n1,a\n")
    message = refuse_file(drops, "drops/crm_*")
    assert "crm_2024-05.csv has no column in common" in message
    assert "crm_2024-01 (1).csv: it has 'Kunde', 'Tarif'" in message


def test_parts_may_lie_elsewhere(tmp_path: Path) -> None:
    """A list may mix paths and addresses."""
    (tmp_path / "a.csv").write_bytes(PLAIN)
    fsspec.filesystem("memory").pipe("/parts/b.csv", PLAIN)
    received = read_file(tmp_path, ["a.csv", "memory://parts/b.csv"], part_column="file")
    assert columns(received)["file"] == ["a", "a", "b", "b"]
    assert "list the addresses" in refuse_file(tmp_path, "memory://parts/*.csv")


def test_variables_in_lists_are_known(tmp_path: Path) -> None:
    """A variable in a path of a list is shown, one in an address is a secret."""
    (tmp_path / "p.yaml").write_text(
        "name: x\ncustomer_id: id\nlabel: {column: y, positive: z}\nsources:\n"
        "  a: {file: ['${FOLDER}/a.csv', 'https://x/b.csv?key=${KEY}']}\n"
    )
    params = load_params(tmp_path / "p.yaml")
    assert params.find_variables() == {"FOLDER": False, "KEY": True}
    source = params.sources["a"]
    assert isinstance(source, FileSource)
    with pytest.raises(ValueError, match="FOLDER is not set"):
        source.find_files(tmp_path)
