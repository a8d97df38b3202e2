"""Text of any encoding: what is read, what is suggested, and how the suggestion reads."""

# ruff: noqa: RUF001

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from churn.formats import FileFormat
from churn.formats.dialects import peek_names
from helpers.reading import PLAIN, columns, read_file, refuse_file

LINES = {
    "cp1252": "Müller,Besançon\nPeña,Málaga\nGarcía – López,“Köln”\n€ 5,x\n",
    "cp1250": "Wałęsa,Gdańsk\nDvořák,Plzeň\nŻółty,Łódź\n",
    "cp1251": "Иванов,Москва\nПетров,Казань\nСидорова,Тверь\n",
    "cp1254": "Ayşe,İstanbul\nÇağla,Iğdır\nIşık,Muğla\n",
    "mac-roman": "Müller,Köln\nDupont,Besançon\n",
    "cp850": "Müller,Köln\nDupont,Besançon\n",
    "cp932": "佐藤,東京\n鈴木,大阪\n高橋,京都\n",
    "gb18030": "王伟,北京\n李娜,上海\n张敏,广州\n",
    "big5": "王偉,臺北\n李娜,高雄\n張敏,臺中\n",
    "cp949": "김민수,서울\n이영희,부산\n박지성,대구\n",
    "utf-16-le": "Müller,Köln\n",
    "utf-16-be": "Müller,Köln\n",
}


@pytest.mark.parametrize("encoding", LINES)
def test_text_in_another_encoding_is_refused_with_one_that_reads_it(
    tmp_path: Path, encoding: str
) -> None:
    """The byte, its place and line, an encoding to name, and how the line reads with
    it; which then is so.
    """
    names = [line.replace(",", " ") for line in LINES[encoding].splitlines()] * 30
    text = "id,name\n" + "".join(f"{number},{name}\n" for number, name in enumerate(names))
    data = text.encode(encoding)
    message = refuse_file(tmp_path, "a.csv", data)
    assert f"`encoding: {encoding}`" in message
    if not encoding.startswith("utf"):
        place = next(place for place, byte in enumerate(data) if byte > 127)
        assert f"byte 0x{data[place]:02X} at position {place:,} (line 2) is not utf-8" in message
        assert f"with that the line reads {text.splitlines()[1]!r}" in message
    assert columns(read_file(tmp_path, "a.csv", data, encoding=encoding))["name"] == names


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_zero_bytes_tell_utf_16(tmp_path: Path, encoding: str) -> None:
    """English text in UTF-16 without a mark is UTF-8 too, with zero bytes."""
    message = refuse_file(tmp_path, "a.csv", PLAIN.decode().encode(encoding))
    assert "zero bytes" in message
    assert f"`encoding: {encoding}`" in message


def test_one_letter_in_a_large_file_is_found(tmp_path: Path) -> None:
    """Far behind what is decoded at a time, and cut by it."""
    start = b"id,name\n" + b"1,Smith\n" * 200_000
    data = start + "2,Müller\n".encode("latin-1")
    assert f"byte 0xFC at position {len(start) + 3:,} (line 200,002)" in refuse_file(
        tmp_path, "a.csv", data
    )
    padding = (1 << 20) - len(b"id,name\n") - 1
    split = b"id,name\n" + b"x" * (padding - 2) + b",\xc3\xbc\n1,\xc3\n"
    assert "byte 0xC3" in refuse_file(tmp_path, "a.csv", split)
    assert columns(read_file(tmp_path, "a.csv", split[:-4]))["name"] == ["ü"]


@pytest.mark.parametrize(
    ("encoding", "note"), [("utf-16", "Read as utf-16"), ("utf-32", "Read as utf-32")]
)
def test_a_mark_tells_the_encoding(tmp_path: Path, encoding: str, note: str) -> None:
    """With a byte order mark text is read by it, with a note, also in JSON lines; one
    that is named needs none.
    """
    received = read_file(tmp_path, "a.csv", PLAIN.decode().encode(encoding))
    assert columns(received)["id"] == ["007", "008"]
    (told,) = received.notes
    assert told.startswith(note)
    assert "byte order mark" in told
    assert read_file(tmp_path, "a.csv", encoding=encoding).notes == []
    received = read_file(tmp_path, "a.jsonl", '{"id": "ü"}\n'.encode(encoding))
    assert columns(received) == {"id": ["ü"]}
    assert note in received.notes[0]


def test_a_mark_wins_over_the_named_encoding(tmp_path: Path) -> None:
    """The mark of UTF-8 says that the file is UTF-8, whatever params.yaml says."""
    received = read_file(
        tmp_path, "a.csv", b"\xef\xbb\xbf" + "id,name\n1,Müller\n".encode(), encoding="cp1252"
    )
    assert columns(received)["name"] == ["Müller"]
    (note,) = received.notes
    assert note.startswith("Read as utf-8")
    assert "byte order mark" in note
    assert "not as cp1252" in note
    assert columns(read_file(tmp_path, "b.csv", b"\xef\xbb\xbf" + PLAIN, encoding="utf-8"))[
        "id"
    ] == ["007", "008"]


def test_utf_8_read_as_something_else_is_noted(tmp_path: Path) -> None:
    """An encoding of one byte a letter fits UTF-8 too: what then looks odd is said to
    be perhaps UTF-8.
    """
    received = read_file(tmp_path, "a.csv", "id,name\n1,Müller\n".encode(), encoding="latin-1")
    assert columns(received)["name"] == ["MÃ¼ller"]
    assert "the bytes are UTF-8 too" in received.notes[0]
    assert (
        read_file(
            tmp_path, "a.csv", "id,name\n1,Müller\n".encode("latin-1"), encoding="latin-1"
        ).notes
        == []
    )


@pytest.mark.parametrize(
    ("name", "content", "facts", "expected"),
    [
        ("a.csv", b'\xef\xbb\xbfid,na me,"x,y"\n1,2,3\n', {}, ["id", "na me", "x,y"]),
        ("a.tsv", b"id\tplan\n1\t2\n", {}, ["id", "plan"]),
        ("a.csv", "id;größe\n".encode("cp1252"), {"encoding": "cp1252"}, ["id", "größe"]),
        ("a.csv", "id;größe\n1;2\n".encode("utf-16"), {}, ["id", "größe"]),
        ("a.csv", b"1|2|3\n", {"header": False}, ["column_1", "column_2", "column_3"]),
        ("a.csv.gz", gzip.compress(b"id,plan\n", mtime=0), {}, ["id", "plan"]),
        ("a.csv", b"Report of May\n\nid,plan\n", {"skip_rows": 2}, ["id", "plan"]),
        ("a.csv", b"", {}, None),
        ("a.csv", b"\xff\xfe\xfa", {"encoding": "utf-8"}, None),
        ("a.csv", b"sep=;\n# of May\nid;plan\n", {}, ["id", "plan"]),
        ("a.csv", b"id,plan\n" + 9_000 * "1,größe\n".encode(), {}, ["id", "plan"]),
    ],
)
def test_the_header_is_read_from_the_first_bytes(
    tmp_path: Path, name: str, content: bytes, facts: dict[str, object], expected: list[str] | None
) -> None:
    """Delimiter and encoding as ingestion takes them; what is not so easily read is left to it."""
    (tmp_path / name).write_bytes(content)
    assert peek_names(tmp_path / name, FileFormat.model_validate(facts)) == expected
