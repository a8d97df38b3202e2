"""Text of any encoding as UTF-8: read where a byte order mark or `encoding` names it; else an encoding is suggested."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from params import suggest
from sources.received import SourceRefused

_MARKS = {  # the longer ones first: UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_UTF8 = ("utf-8", "ascii")
_CHUNK = 1 << 20  # bytes that are decoded at a time
_EVIDENCE = 20_000  # bytes that a guess is made from
_LATIN_LETTERS = ["cp1252", "cp1250", "mac-roman", "cp850"]
_OTHER_LETTERS = [
    "cp1251",
    "koi8_r",
    "cp866",
    "cp1253",
    "cp1255",
    "cp1256",
    "cp932",
    "gb18030",
    "big5",
    "cp949",
    "euc_jp",
]
_KNOWN = ["utf-8", "utf-16", "latin-1", "cp437", "shift_jis", "euc-kr", *_LATIN_LETTERS, *_OTHER_LETTERS]
_HIGH = re.compile(rb"[\x80-\xff]")
_ODD = re.compile(r"(?<=[aAbB])[?](?=[aAbB])|(?<=[aAb])B(?=[ab])|(?<=[ab])B(?= |$)")
_SHOWN = 60  # characters of a line that a message quotes


@dataclass(frozen=True)
class Text:
    """Text as UTF-8: the bytes of `data` from `start` on; and what an analyst should know of it.

    Bytes and a place, because files are large: each slice would be a copy.
    """

    data: bytes
    start: int = 0
    notes: Sequence[str] = ()

    @property
    def view(self) -> memoryview:
        """The text itself, not copied."""
        return memoryview(self.data)[self.start :]

    def decode(self, length: int | None = None) -> str:
        """Return the text, or as much of it as stands in its first bytes."""
        return str(self.view[:length], "utf-8", "ignore")

    def count(self, part: bytes) -> int:
        """Count how often a part stands in the text."""
        return self.data.count(part, self.start)


def as_utf8(data: bytes, encoding: str | None) -> Text:
    """Turn text into UTF-8 without a byte order mark. Without `encoding` it is UTF-8, or what such a mark says.

    Raises:
        SourceRefused: a byte does not fit the encoding, or there is no such encoding.
    """
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    named = _name(encoding) if encoding else "utf-8"
    found = _MARKS.get(mark, named)
    notes = []
    if found != named:
        notes.append(f"Read as {found}, as the byte order mark says{f', not as {encoding}' if encoding else ''}.")
    if found in _UTF8:
        _check(data, found)
        text = Text(data, len(mark), notes)
    else:
        text = Text(_transcode(data, found), 0, [*notes, *_note_utf8(data, found)])
    if not text.data[text.start : text.start + 1000].strip() and not bytes(text.view).strip():
        raise SourceRefused(
            f"the file is empty: {len(data):,} bytes, and no text among them. Fetch or export it again."
        )
    if b"\0" in text.data[text.start : text.start + 1000]:
        raise SourceRefused(f"has zero bytes, so it is not {found} text. Set `encoding: {guess_encoding(data)}`.")
    return text


def _name(encoding: str) -> str:
    try:
        "".encode(encoding)  # which refuses what is no encoding of text, such as base64
        codecs.getincrementaldecoder(encoding)
    except (LookupError, UnicodeError):
        raise SourceRefused(f"there is no encoding {encoding!r}{suggest(encoding, _KNOWN)}") from None
    return codecs.lookup(encoding).name.removesuffix("-sig")


def _check(data: bytes, encoding: str) -> None:
    if not data.isascii():
        for _ in _decode(data, encoding):
            pass


def _transcode(data: bytes, encoding: str) -> bytes:
    made = io.BytesIO()
    for text in _decode(data, encoding):
        made.write(text.encode())
    return made.getvalue().removeprefix(codecs.BOM_UTF8)


def _decode(data: bytes, encoding: str) -> Iterator[str]:
    """Decode in pieces: the whole text would take up to four times as much memory as its bytes."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for start in range(0, len(data), _CHUNK):
        waiting = len(decoder.getstate()[0])
        try:
            yield decoder.decode(data[start : start + _CHUNK], final=start + _CHUNK >= len(data))
        except UnicodeDecodeError as error:
            raise SourceRefused(_describe(data, start - waiting + error.start, encoding)) from None
        except UnicodeError as error:
            raise SourceRefused(f"is no {encoding} text: {error}.") from None


def _describe(data: bytes, place: int, encoding: str) -> str:
    line = data.count(b"\n", 0, place) + 1
    where = f"byte 0x{data[place]:02X} at position {place:,} (line {line:,}) is not {encoding}"
    guess = guess_encoding(data, place)
    if guess.startswith("utf"):
        return f"{where}. If the file is in another encoding, name it: `encoding: {guess}`."
    start, end = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
    text = data[start : end if end >= 0 else None].decode(guess, "replace").strip()
    begin = max(len(data[start:place].decode(guess, "replace")) - _SHOWN // 2, 0)
    return (
        f"{where}. If the file is in another encoding, name it: `encoding: {guess}`"
        f" (with that the line reads {text[begin : begin + _SHOWN]!r})."
    )


def _note_utf8(data: bytes, encoding: str) -> list[str]:
    """An encoding of one byte a letter fits anything: UTF-8 too, with two odd letters for each that is not ASCII."""
    start = data[:_CHUNK]
    if start.isascii() or encoding.startswith(("utf", "big5", "gb", "euc", "shift", "cp9")):
        return []
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return []
    return [f"Read as {encoding}, though the bytes are UTF-8 too: if letters look odd, leave `encoding` out."]


def guess_encoding(data: bytes, place: int = 0) -> str:
    """Suggest an encoding for text that is not UTF-8; `place` is a byte that is not."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return encoding
    start = data[:1000]
    if b"\0" in start:
        return "utf-16-be" if start[::2].count(0) > start[1::2].count(0) else "utf-16-le"
    near = data[max(data.rfind(b"\n", 0, place), 0) : place + 50 * _EVIDENCE]
    evidence = b"\n".join(line for line in near.splitlines() if not line.isascii())[:_EVIDENCE]
    if len(_HIGH.findall(evidence)) > len(re.findall(rb"[A-Za-z]", evidence)):
        return _guess_by_frequency(evidence, _OTHER_LETTERS) or "latin-1"
    odd = {encoding: _count_oddities(evidence, encoding) for encoding in _LATIN_LETTERS}
    best = min(odd, key=lambda encoding: odd[encoding])
    if best == "cp1252" and re.search("[ÐÝÞðýþ]", evidence.decode(best, "replace")):  # Icelandic has them, or Turkish
        return _guess_by_frequency(evidence, ["cp1252", "cp1254"]) or best
    return best if odd[best] < float("inf") else "latin-1"


def _guess_by_frequency(evidence: bytes, encodings: list[str]) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(evidence, cp_isolation=encodings).best()
    return {"cp932": "shift_jis", "cp949": "euc-kr"}.get(best.encoding, best.encoding) if best else None


def _count_oddities(evidence: bytes, encoding: str) -> float:
    """Count letters that stand where none of their kind does: signs within words, capitals among small letters."""
    try:
        text = evidence.decode(encoding)
    except UnicodeDecodeError:
        return float("inf")
    return len(_ODD.findall("".join(map(_kind, text))))


def _kind(letter: str) -> str:
    """Return a or A for a letter of English, b or B for another, `?` for another sign, and a space for all others."""
    if not letter.isalpha():
        return " " if letter.isascii() else "?"
    small, capital = "aA" if letter.isascii() else "bB"
    return capital if letter.isupper() else small
