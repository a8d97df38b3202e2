"""The encoding of a text file, from its bytes: the one in which its letters make a European or East Asian language."""

from __future__ import annotations

import codecs
import re

from sources.encodings import guess_encoding

READ = "utf-8-sig"  # what the readers take where nothing is said: UTF-8, with or without a byte order mark
_MOST_WORDS = 4_000
_WORD = re.compile(rb"[A-Za-z\x80-\xff'-]*[\x80-\xff][A-Za-z\x80-\xff'-]*")
_UTF_8 = re.compile(rb"(?:[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})")
_TWO_BYTES = ("cp932", "gb18030", "big5", "cp949", "euc_jp")  # Japanese, Chinese, Korean
_WIDER = {"shift_jis": "cp932", "euc-kr": "cp949"}  # Windows' own have a few characters more
_EAST_ASIAN = re.compile(r"[\u3041-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
_BESIDE_LATIN = re.compile(rf"(?<=[A-Za-z]){_EAST_ASIAN.pattern}|{_EAST_ASIAN.pattern}(?=[A-Za-z])")
_NO_LETTERS = "ªºµ"  # which Unicode counts as letters

_WESTERN = [
    "àâæçéèêëîïôœùûüÿ",  # French
    "äöüß",
    "áéíñóúü",  # Spanish
    "àáâãçéêíóôõúü",  # Portuguese
    "àèéìíîòóùú",  # Italian
    "åäöæøé",  # Nordic
    "éëèêïíóöüäá",  # Dutch
    "áéíóúýðþæö",  # Icelandic
]
_CENTRAL = [
    "ąćęłńóśźż",  # Polish
    "áčďéěíňóřšťúůýž",  # Czech
    "áäčďéíĺľňóôŕšťúýž",  # Slovak
    "áéíóöőúüű",  # Hungarian
    "ăâîşţșț",  # Romanian
    "čćđšž",  # Croatian, Slovene
]
_CYRILLIC = ["абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"]
_GREEK = ["αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"]
_TURKISH = ["çği\u0131öşüâîû"]
# The first of equals is taken, so the likeliest come first.
_LANGUAGES = {
    "cp1252": _WESTERN,
    "cp1250": _CENTRAL,
    "cp1251": _CYRILLIC,
    "cp1253": _GREEK,
    "cp1254": _TURKISH,
    "iso8859-2": _CENTRAL,
    "cp850": _WESTERN,
    "mac-roman": _WESTERN,
    "koi8-r": _CYRILLIC,
}


def find_encoding(data: bytes) -> str:
    """Return the encoding of a text, as `encoding` in `params.yaml` has it; `data` is its start, or the whole."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = data[: 1 << 16 : 2].count(0), data[1 : 1 << 16 : 2].count(0)
    if even or odd:  # half of a digit, delimiter or line break is zero in UTF-16, and no byte of other text
        return "utf-16-le" if odd > even else "utf-16-be"
    return READ if is_utf8(data) else find_code_page(data)


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8, but for a character that their end cuts."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def find_broken_utf8(data: bytes) -> int | None:
    """Return the position of the first byte that is not UTF-8, where nearly all others beyond ASCII are."""
    whole = sum(len(found) for found in _UTF_8.findall(data))
    beyond = len(data) - len(data.translate(None, bytes(range(128, 256))))
    if not beyond or whole < 0.8 * beyond:
        return None
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def find_code_page(data: bytes) -> str:
    """Return the encoding in which the words beyond ASCII are spelled in the letters of one language."""
    if any(_is_east_asian(data, encoding) for encoding in _TWO_BYTES):
        found = guess_encoding(data, len(data) - len(data.lstrip(bytes(range(128)))))
        return _WIDER.get(found, found)
    words = list(dict.fromkeys(_WORD.findall(data)))[:_MOST_WORDS]
    scores = {encoding: _score(words, encoding, languages) for encoding, languages in _LANGUAGES.items()}
    best = max(scores, key=lambda encoding: scores[encoding])
    return best if best != "cp1252" or _fits(data, best) else "latin-1"


def _is_east_asian(data: bytes, encoding: str) -> bool:
    """Whether all bytes make characters of two bytes, nearly all beyond ASCII are East Asian, and few touch Latin ones.

    A letter with an accent would be the first half of such a character, and the letter behind it the second.
    """
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return False
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    written = len(_EAST_ASIAN.findall(text))
    return written > 0.7 * beyond and len(_BESIDE_LATIN.findall(text)) < 0.2 * written


def _fits(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _score(words: list[bytes], encoding: str, languages: list[str]) -> float:
    """Return the share of the letters beyond ASCII that one language has, less what no language writes."""
    text = " ".join(word.decode(encoding, "replace") for word in words)
    beyond = [character for character in text if ord(character) > 127]
    letters = [character for character in beyond if character.isalpha() and character not in _NO_LETTERS]
    spelled = max(sum(letter.lower()[0] in alphabet for letter in letters) for alphabet in languages)
    spelled += len(beyond) - len(letters)
    return (spelled - _count_odd(text)) / max(len(beyond), 1)


def _count_odd(text: str) -> int:
    """Count what a wrong encoding makes of words: capitals behind small letters, signs and foreign letters in them."""
    return sum(
        (before.islower() and after.isupper() and max(before, after) > "\x7f")
        or (_is_sign(after) and before.isalpha())
        or (before.isalpha() and after.isalpha() and _script(before) != _script(after))
        or (before == " " and after > "\x7f" and last in " ")
        for before, after, last in zip(f" {text[:-1]}", text, f"{text[1:]} ", strict=True)
    )


def _is_sign(character: str) -> bool:
    return character > "\x7f" and not character.isalnum() and character not in "\u2013\u2019"  # a dash, an apostrophe


def _script(letter: str) -> str:
    return "Latin" if letter < "\u0370" else "Greek" if letter < "\u0400" else "Cyrillic"
