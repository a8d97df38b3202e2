"""How a secret may look where it is written, and where a text has it.

Each of its characters may be escaped as in an address, JSON, Python's `repr`, a shell or
HTML, any number of times in a row, and the characters of one secret each in another way.
The whole may be in hexadecimal, base32 or base64, also as a part of a longer text that is;
and it may be broken into lines.
"""

from __future__ import annotations

import base64
import html
import html.entities
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

SHORTEST = 4  # characters; a shorter text is looked for as it is, as a word of its own

_SHORTEST_LINE = 8  # of a secret of several lines, such as a private key
_SHORTEST_INSIDE = 8  # characters of base64 by which a secret inside a longer text is told
_SHORTEST_NUMBER = 4
# Digits of a number that is shown with commas; a shorter one, such as 1,234, is a
# number like others.
_GROUPED = 7
# A text with a break after every few characters is a column of values, not a secret.
_CHARACTERS_BETWEEN_BREAKS = 4
_MOST_FOR_A_CHARACTER = 24  # of the texts that stand for it, about the longest

# Expressions, each of which begins with a character as it is: only such are searched fast.
_BACKSLASHES = r"\\\\{0,7}"  # doubled each time that a text is quoted
_PERCENT = r"%(?:25){0,4}"
_AMPERSAND = [r"&", rf"{_BACKSLASHES}u0026", f"{_PERCENT}26"]
_BREAK = r"""(?:['"\\=]{0,2}(?:\r?\n|\\\\{0,7}n|<w?br ?/?>)[ \t]{0,200}(?:b?['"])?)?"""
_BREAK_OF_CODE = r"(?:\r?\n|\\n)?"
_LINE_END = re.compile(r"\n|\\n")
_LETTERS = {"\n": "n", "\r": "r", "\t": "t", "\a": "a", "\b": "b", "\f": "f", "\v": "v"}
_FIRST = 4  # pieces by which a place is found where the whole is worth a try

_ESCAPE_REST = r"[\\%&#;\w]{0,40}"
# The end of a text, within a break or within what stands for a character.
_UNFINISHED = re.compile(
    r"""(?:['"\\=]{0,2}(?:\r?\n|\r|\\{1,8}n?|<[wbr /]{0,5}>?)[ \t]{0,200}(?:b?['"]?)?)?"""
    rf"""(?:[\\%&]{_ESCAPE_REST}|[\x80-\xff]{{1,3}}|['"=]{{0,2}}|[: -])?\Z"""
)


@dataclass(frozen=True)
class Writing:
    """One way to write a secret, piece by piece: the expressions, each of a kind, of a
    piece, and that of what may stand between two.
    """

    pieces: Sequence[Sequence[str]]
    between: str = _BREAK


@dataclass(frozen=True)
class Found:
    """A place where a text has a secret; `secret` is that as it was given."""

    start: int
    end: int
    secret: str


class Finder:
    """Finds secrets in texts, however they are written."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first: it is the one meant where another begins like it.
        self._secrets = sorted(set(secrets), key=lambda text: (-len(text), text))
        self._longest = _MOST_FOR_A_CHARACTER * max(map(len, self._secrets), default=0)

    def find(self, text: str) -> Iterator[Found]:
        """Yield the places in order; they do not overlap."""
        position = 0
        while start := self._starts.search(text, position):
            found = self._match(text, start.start())
            position = found.end if found else start.start() + 1
            if found:
                yield found

    def find_end(self, text: str) -> int:
        """Return where the end of a text begins that may be a secret's beginning, or is one
        to which another piece may belong.
        """
        certain, tail = 0, len(text) - self._longest
        for found in self.find(text):
            if found.end == len(text) or (found.start >= tail and self._goes_on(text, found.start)):
                return found.start
            certain = found.end
        for begun in self._beginnings.finditer(text, max(certain, tail)):
            if self._goes_on(text, begun.start()):
                return begun.start()
        return len(text)

    def _goes_on(self, text: str, start: int) -> bool:
        return any(_ends_within(one, text, start) for one in self._writings)

    def _match(self, text: str, start: int) -> Found | None:
        for secret in self._secrets:
            if match := _compile_whole(secret).match(text, start):
                breaks = len(_LINE_END.findall(match[0])) - len(_LINE_END.findall(secret))
                if breaks <= len(secret) // (2 * _CHARACTERS_BETWEEN_BREAKS):
                    return Found(start, match.end(), secret)
        return None

    @cached_property
    def _writings(self) -> list[Writing]:
        return [one for secret in self._secrets for one in _write(secret)]

    @cached_property
    def _starts(self) -> re.Pattern[str]:
        """All secrets' first pieces; each character of a text is looked at once."""
        return _any_of(_starts_of(one, end="") for one in self._writings)

    @cached_property
    def _beginnings(self) -> re.Pattern[str]:
        """All secrets' first pieces, or as many as there are before the end of the text."""
        first = [sign + _ESCAPE_REST + r"\Z" for sign in ("&", "%", r"\\")]
        found = (_starts_of(one, end=_UNFINISHED.pattern) for one in self._writings)
        return _any_of([first, *found])


def parts_of(value: str) -> set[str]:
    """Return what of a variable's value is a secret by itself: the whole, its lines,
    the password of an address.
    """
    lines = {line.strip() for line in value.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
    parts = lines if len(lines) > 1 else {value, value.strip(), *lines}
    try:
        password = urlsplit(value).password if "://" in value else None
    except ValueError:
        password = None
    return (parts | {password or "", unquote(password or "")}) - {""}


def credentials(user: str, password: str) -> set[str]:
    """Return how HTTP's basic authentication writes a user and a password."""
    together = f"{user}:{password}".encode(errors="surrogateescape")
    return {base64.b64encode(together).decode(), base64.urlsafe_b64encode(together).decode()}


@lru_cache(1024)
def _compile_whole(secret: str) -> re.Pattern[str]:
    return re.compile("|".join(one.between.join(map(_group, one.pieces)) for one in _write(secret)))


def _ends_within(writing: Writing, text: str, start: int) -> bool:
    """Whether a text ends within a writing that starts somewhere."""
    places = {start}
    for piece in writing.pieces:
        if any(_UNFINISHED.match(text, at) for at in places):
            return True
        expressions = [re.compile(writing.between + one) for one in piece]
        found = (one.match(text, at) for at in places for one in expressions)
        places = {match.end() for match in found if match}
    return False


def _write(text: str) -> Iterator[Writing]:
    if len(text) < SHORTEST:
        yield Writing([[rf"{re.escape(text)}(?<!\w{re.escape(text)})(?!\w)"]])
        return
    yield Writing([_characters(character) for character in text])
    encoded = text.encode(errors="surrogateescape")
    for digits in (encoded.hex(), encoded.hex().upper()):
        between = ["" if at == 0 or at % 2 else "[: -]?" for at in range(len(digits))]
        pieces = [[sign + digit] for sign, digit in zip(between, digits, strict=True)]
        yield Writing(pieces, _BREAK_OF_CODE)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield from _within(encoded, encode, 3)
    for encode in (base64.b32encode, lambda data: base64.b32encode(data).lower()):
        yield from _within(encoded, encode, 5)
    for number in _as_numbers(text):
        yield Writing([[re.escape(digit)] for digit in number], between="")


def _within(encoded: bytes, encode: Any, group: int) -> Iterator[Writing]:
    """Yield what an encoding, of `group` bytes at once, makes of a text by itself, and the
    part of it that does not depend on what stands before and behind.
    """
    bits = {3: 6, 5: 5}[group]

    def pieces(text: str) -> list[Sequence[str]]:
        return [[one] if one.isalnum() else _characters(one) for one in text]

    alone = encode(encoded).decode()
    yield Writing(pieces(alone), _BREAK_OF_CODE)
    for before in range(group):
        whole = encode(b"\0" * before + encoded).decode()
        first, last = -(-before * 8 // bits), (before + len(encoded)) * 8 // bits
        inside = pieces(whole[first:last])
        if before == 0:  # its end may be that of a text that stands alone, without padding
            rest = alone.rstrip("=")[last:]
            inside[-1] = [f"{one}(?:{rest})?" if rest else one for one in inside[-1]]
        if last - first >= _SHORTEST_INSIDE:
            yield Writing(inside, _BREAK_OF_CODE)


@lru_cache(4096)
def _characters(character: str) -> tuple[str, ...]:
    """Return the expressions of all that stands for a character."""
    code, encoded = ord(character), character.encode(errors="surrogateescape")
    number = f"(?:0{{0,5}}{code}|[xX]0{{0,5}}{_digits(f'{code:x}')})"
    in_html = "|".join([f"#{number}", *map(re.escape, _entities().get(character, ()))])
    return (
        *_plain(character),
        "".join(_PERCENT + _digits(f"{byte:02x}") for byte in encoded),
        f"{_BACKSLASHES}(?:{'|'.join(_escapes(character, code))})",
        "".join(rf"{_BACKSLASHES}x{_digits(f'{byte:02x}')}" for byte in encoded),
        "".join(rf"{_BACKSLASHES}{byte:03o}" for byte in encoded),
        *(
            f"{sign}(?:amp;){{0,4}}(?:{in_html});?"
            for sign in _AMPERSAND[: None if html.escape(character) != character else 1]
        ),
    )


def _plain(character: str) -> Iterator[str]:
    if character == "\\":
        yield from (2**times * r"\\" for times in range(4))
        return
    yield re.escape(character)
    if not character.isalnum():
        yield _BACKSLASHES + re.escape(character)
    if character == " ":
        yield r"\+"
    if not character.isascii():  # as in the bytes of a file
        yield re.escape(character.encode(errors="surrogateescape").decode("latin-1"))


def _escapes(character: str, code: int) -> Iterator[str]:
    """Yield what stands behind a backslash."""
    if code < 0x100:
        yield f"x{_digits(f'{code:02x}')}"
    if code < 0x10000:
        yield f"u{_digits(f'{code:04x}')}"
    else:
        units = character.encode("utf-16-be").hex()
        yield rf"u{_digits(units[:4])}{_BACKSLASHES}u{_digits(units[4:])}"
    yield f"U{_digits(f'{code:08x}')}"
    if character in _LETTERS:
        yield _LETTERS[character]


@lru_cache(1)
def _entities() -> dict[str, list[str]]:
    """Return HTML's names of characters, without the semicolon."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, character in html.entities.html5.items():
        if name.endswith(";"):
            names[character].append(name.removesuffix(";"))
    return {character: sorted(found, key=len, reverse=True) for character, found in names.items()}


def _digits(digits: str) -> str:
    """Return the expression of hexadecimal digits of any case."""
    return "".join(f"[{one}{one.upper()}]" if one.isalpha() else one for one in digits)


def _as_numbers(text: str) -> Iterator[str]:
    if text.isdecimal() and text.isascii():
        if len(text.lstrip("0")) >= _SHORTEST_NUMBER:
            yield text.lstrip("0")
        if len(text) >= _GROUPED:
            yield f"{int(text[:4000]):,}"


def _starts_of(writing: Writing, end: str) -> Iterator[str]:
    """Yield the expressions of the first pieces; each may be followed by an `end` instead."""
    following = ""
    for piece in reversed(writing.pieces[1:_FIRST]):
        following = f"{writing.between}{_group(piece)}{following}"
        following = f"(?:{end}|{following})" if end else following
    yield from (one + following for one in writing.pieces[0])


def _any_of(expressions: Iterable[Iterable[str]]) -> re.Pattern[str]:
    return re.compile("|".join(dict.fromkeys(itertools.chain(*expressions))) or r"(?!)")


def _group(piece: Sequence[str]) -> str:
    return piece[0] if len(piece) == 1 else f"(?:{'|'.join(piece)})"
