"""Files of text as UTF-8: what is read where nothing is said, and what a refusal suggests."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from churn.facts import suggest
from churn.formats import FormatError
from churn.formats.encodings import KNOWN, MARKS, Guess, find_unicode, guess_encoding, is_utf8

_UTF8 = ("utf-8", "ascii")
_CHUNK = 1 << 20  # bytes that are decoded at a time
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
    """Turn text into UTF-8 without a byte order mark. Without `encoding` it is UTF-8,
    or what such a mark says.

    Raises:
        FormatError: a byte does not fit the encoding, or there is no such encoding.
    """
    mark = next((mark for mark in MARKS if data.startswith(mark)), b"")
    named = _normalize_encoding(encoding) if encoding else "utf-8"
    found = MARKS.get(mark, named)
    notes = []
    if found != named:
        notes.append(
            f"Read as {found}, as the byte order mark "
            f"says{f', not as {encoding}' if encoding else ''}."
        )
    if found in _UTF8:
        _check_bytes(data, found)
        text = Text(data, len(mark), notes)
    else:
        text = Text(_transcode(data, found), 0, [*notes, *_note_utf8(data, found)])
    if not text.data[text.start : text.start + 1000].strip() and not bytes(text.view).strip():
        raise FormatError(
            f"the file is empty: {len(data):,} bytes, and no text among them. Fetch or export it "
            "again."
        )
    return _without_zeros(text, found)


def _without_zeros(text: Text, encoding: str) -> Text:
    """Leave out zero bytes, which some programs pad with; a text of which they are a part
    of each letter is in another encoding.
    """
    zeros = text.count(b"\0")
    if not zeros:
        return text
    found = find_unicode(bytes(text.view[:_CHUNK]))
    if found and found.startswith("utf-16"):
        raise FormatError(f"has zero bytes, so it is not {encoding} text. Set `encoding: {found}`.")
    note = f"{zeros:,} zero byte(s) are left out: no text has them."
    return Text(bytes(text.view).replace(b"\0", b""), 0, [*text.notes, note])


def _normalize_encoding(encoding: str) -> str:
    try:
        "".encode(encoding)  # which refuses what is no encoding of text, such as base64
        codecs.getincrementaldecoder(encoding)
    except (LookupError, UnicodeError):
        raise FormatError(f"there is no encoding {encoding!r}{suggest(encoding, KNOWN)}") from None
    return codecs.lookup(encoding).name.removesuffix("-sig")


def _check_bytes(data: bytes, encoding: str) -> None:
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
            raise FormatError(
                _describe_bad_byte(data, start - waiting + error.start, encoding)
            ) from None
        except UnicodeError as error:
            raise FormatError(f"is no {encoding} text: {error}.") from None


def _describe_bad_byte(data: bytes, place: int, encoding: str) -> str:
    line = data.count(b"\n", 0, place) + 1
    where = f"byte 0x{data[place]:02X} at position {place:,} (line {line:,}) is not {encoding}"
    guess = guess_encoding(data)
    advice = f"{where}. If the file is in another encoding, name it: `encoding: {guess.encoding}`"
    if guess.encoding.startswith("utf"):
        return f"{advice}."
    start, end = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
    shown = data[start : end if end >= 0 else None], place - start
    rival = describe_rival(guess, lambda one: _excerpt(*shown, one))
    return f"{advice} (with that the line reads {_excerpt(*shown, guess.encoding)!r}).{rival}"


def _excerpt(line: bytes, place: int, encoding: str) -> str:
    text = line.decode(encoding, "replace").strip()
    begin = max(len(line[:place].decode(encoding, "replace")) - _SHOWN // 2, 0)
    return text[begin : begin + _SHOWN]


def describe_rival(guess: Guess, read: Callable[[str], str]) -> str:
    """Say that an encoding is not sure, if it is not; `read` shows a text in an encoding."""
    if guess.rival is None:
        return ""
    return (
        f" That is not sure: with {guess.rival} it reads {read(guess.rival)!r}. Take the one that"
        " reads right."
    )


def _note_utf8(data: bytes, encoding: str) -> list[str]:
    """An encoding of one byte a letter fits anything: UTF-8 too, with two odd letters
    for each that is not ASCII.
    """
    start = data[:_CHUNK]
    is_wider = encoding.startswith(("utf", "big5", "gb", "euc", "shift", "cp9"))
    if is_wider or start.isascii() or not is_utf8(start):
        return []
    return [
        f"Read as {encoding}, though the bytes are UTF-8 too: if letters look odd, leave "
        "`encoding` out."
    ]
