"""Which encoding a text is in, and whether that is sure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.formats.encodings import find_broken_utf8, guess_encoding
from helpers.drafts import Drafting
from helpers.reading import columns, read_file, refuse_file

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
    "Italian": ["città", "perché", "attività", "più", "così"],
    "Bulgarian": ["клиент", "причина", "скъпо", "да", "не", "София"],
    "Serbian": ["клијент", "разлог", "скупо", "Београд", "не"],
    "Ukrainian": ["клієнт", "відтік", "Київ", "Харків", "причина", "ні", "її"],
    "Russian words": ["код", "причина", "слишком дорого", "переезд в Омск", "нет", "да"],
    "Hebrew": ["סיבה", "קר מדי", "מעבר דירה", "יקר", "לקוח"],
    "Hebrew cities": ["כן", "לא", "שם", "עיר", "תל אביב", "חיפה", "ירושלים"],
    "Arabic": ["السبب", "نعم", "لا", "غالي جدا", "انتقال", "العميل"],
    "Thai": ["ลูกค้า", "เหตุผล", "แพงเกินไป", "ย้ายบ้าน", "ใช่", "ไม่"],
    "Lithuanian": ["priežastis", "miestas", "Šiauliai", "išėjo", "persikėlė", "įmonė", "ką"],
    "Latvian": ["iemesls", "pārāk dārgi", "pārcelšanās", "jā", "nē", "Rīga", "pilsēta"],
    "Estonian": ["põhjus", "jah", "ei", "Tartu", "Pärnu", "Võru", "šokolaad"],
}

WESTERN = "French German Spanish Portuguese Nordic"
CODE_PAGES = {
    "cp1252": f"{WESTERN} Italian",
    "latin-1": f"{WESTERN} Italian",
    "cp850": f"{WESTERN} Italian",
    "mac-roman": "French German Italian",
    "cp1250": "Polish Czech Hungarian",
    "iso8859-2": "Polish Czech",
    "cp852": "Polish Czech",
    "cp1251": "Russian Bulgarian Serbian Ukrainian",
    "koi8-r": "Russian",
    "koi8-u": "Ukrainian",
    "cp866": "Russian Bulgarian",
    "iso8859-5": "Russian Bulgarian Serbian Ukrainian",
    "cp1253": "Greek",
    "iso8859-7": "Greek",
    "cp1254": "Turkish",
    "cp1255": "Hebrew",
    "cp1256": "Arabic",
    "cp1257": "Lithuanian Latvian Estonian",
    "cp874": "Thai",
}
PAIRS = [(page, language) for page, named in CODE_PAGES.items() for language in named.split()]


@pytest.mark.parametrize(("encoding", "language"), [*PAIRS, ("cp1255", "Hebrew cities")])
def test_code_pages_are_told_by_their_letters(encoding: str, language: str) -> None:
    """A header and a few values are enough to read the words as they were written, in
    small letters and in capitals, once or in every row.
    """
    words = WORDS[language]
    for words in (WORDS[language], [word.upper() for word in WORDS[language]]):
        once = "id;value\n1;10 %\n" + "\n".join(words)
        rows = "".join(f"{n};{words[n % len(words)]};{n % 7}\n" for n in range(500))
        for text in (once, f"id;{words[0]};n\n{rows}"):
            try:
                data = text.encode(encoding)
            except UnicodeEncodeError:
                continue  # of capitals it has fewer
            assert data.decode(guess_encoding(data).encoding) == text


@pytest.mark.parametrize(("encoding", "language"), [*PAIRS, ("cp1255", "Hebrew cities")])
def test_a_wrong_guess_is_never_sure(encoding: str, language: str) -> None:
    """Of one, two or three words another reading may be likelier; then both are named."""
    for count in (1, 2, 3):
        text = "id;value\n" + "\n".join(WORDS[language][:count])
        data = text.encode(encoding)
        guess = guess_encoding(data)
        if data.decode(guess.encoding, "replace") != text:
            assert guess.rival is not None


@pytest.mark.parametrize(
    ("encoding", "language"),
    [("cp1255", "Hebrew"), ("cp866", "Russian words"), ("cp1252", "French"), ("cp1250", "Polish")],
)
def test_a_rich_text_is_sure(encoding: str, language: str) -> None:
    """No doubt is told where there is none."""
    assert guess_encoding("\n".join(WORDS[language]).encode(encoding)).rival is None


@pytest.mark.parametrize(
    ("encoding", "language"),
    [pair for pair in PAIRS if pair[0] not in ("latin-1",)],
)
def test_what_init_writes_is_what_a_refusal_advises(
    draft: Drafting, tmp_path: Path, encoding: str, language: str
) -> None:
    """The encoding of the draft is the one that ingestion suggests, and reads the words."""
    words = WORDS[language]
    rows = [f"C{n};{words[n % len(words)]};{n * 7 % 31};{'YN'[n % 2]}" for n in range(60)]
    text = "\n".join(["id;reason;fee;churned", *rows, ""])
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    drafted = draft(tmp_path / "a.csv")
    (source,) = drafted.params.sources.values()
    advised = re.search("`encoding: ([^`]+)`", refuse_file(tmp_path, "a.csv"))
    assert advised is not None
    assert advised[1] == source.model_dump()["encoding"]
    received = read_file(tmp_path, "a.csv", encoding=advised[1])
    assert set(columns(received)["reason"]) == set(words)


def test_a_doubt_is_told_with_both_readings(draft: Drafting, tmp_path: Path) -> None:
    """Of three Hebrew letters nobody can be sure: the draft and the refusal name a rival."""
    rows = [f"C{n};{('כן', 'לא')[n % 2]};{n * 7 % 31};{'YN'[n % 2]}" for n in range(60)]
    data = "\n".join(["id;paid;fee;churned", *rows, ""]).encode("cp1255")
    message = refuse_file(tmp_path, "a.csv", data)
    assert "not sure" in message
    told = draft(tmp_path / "a.csv").said("a.csv is read as")
    assert "not sure" in told
    for text in (message, told):
        assert "cp1255" in text
        assert "כן" in text


@pytest.mark.parametrize("times", [1, 60])
@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp932", "顧客ID,性別,月額料金,解約\nC1,男性,3000円,はい\nC2,女性,4120円,いいえ\n"),
        (
            "euc_jp",
            "顧客ID,性別,契約日,契約期間(月),問い合わせ回数,プラン,解約\n1,男性,1/2,3,2,月契約,はい\n2,女性,1/3,9,2,年契約,いいえ\n",
        ),
        (
            "gbk",
            "客户编号,性别,套餐,月租费,是否流失\n1001,男,畅享套餐,129元,否\n1002,女,大王卡,19元,是\n",
        ),
        ("big5", "客戶編號,性別,方案,月租費,是否流失\n1001,男,月約,129,否\n1002,女,年約,19,是\n"),
        ("cp949", "고객번호,성별,요금제,이탈여부\n1001,남성,월정액,예\n1002,여성,약정,아니오\n"),
    ],
)
def test_east_asian_encodings_are_told(encoding: str, text: str, times: int) -> None:
    """Characters of two bytes are not taken for letters of a code page."""
    data = (text * times).encode(encoding)
    assert data.decode(guess_encoding(data).encoding) == text * times


@given(
    st.lists(
        st.sampled_from([word for words in WORDS.values() for word in words]),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_unicode_is_told_with_and_without_its_mark(
    words: list[str], encoding: str, line_break: str
) -> None:
    """Whatever the language, UTF-8, 16 and 32 are read as they were written; UTF-8
    without being told.
    """
    text = line_break.join(["id,word", *(f"{n},{word}" for n, word in enumerate(words)), ""])
    data = text.encode(encoding)
    found = guess_encoding(data).encoding
    assert data.decode(found).removeprefix("\N{BYTE ORDER MARK}") == text
    assert (found == "utf-8") == encoding.startswith("utf-8")


@given(
    st.lists(
        st.sampled_from(WORDS["French"] + WORDS["German"]), min_size=2, max_size=40, unique=True
    )
)
def test_western_words_in_windows_code_page(words: list[str]) -> None:
    """Any mixture of French and German words in Windows' code page is read as it was written."""
    text = "\n".join(words)
    assert text.encode("cp1252").decode(guess_encoding(text.encode("cp1252")).encoding) == text


def test_a_broken_byte_in_utf_8_is_found() -> None:
    """Among letters of UTF-8 one byte that is none is told by its position; a code page
    has no such byte.
    """
    data = "été à Besançon, août ".encode() * 20
    assert find_broken_utf8(data[:50] + b"\xe9 " + data[50:]) == 50
    assert find_broken_utf8("été à Besançon".encode("cp1252") * 20) is None


def test_stray_zero_bytes_are_no_utf_16(tmp_path: Path) -> None:
    """A field padded with zeros, and zeros behind the last row, are left out and told."""
    data = b"id,plan\n" + b"1,a\0\0\0\n2,b\n" * 50 + bytes(100)
    received = read_file(tmp_path, "a.csv", data)
    assert set(columns(received)["plan"]) == {"a", "b"}
    assert any("zero byte" in note for note in received.notes)
    assert guess_encoding(data).encoding == "utf-8"
