"""Which encoding a text is in: by its byte order mark, its zero bytes, or its letters.

A code page is told by its language: bytes beyond ASCII are decoded with each, and the one
wins in which they are the most usual letters of one language, in places where such letters
stand. Several may fit a short text: then the guess is not sure.
"""

# ruff: noqa: RUF001  (letters of other alphabets)

from __future__ import annotations

import codecs
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

MARKS = {  # the longer ones first: UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ASCII = bytes(range(128))
_CHUNK = 1 << 20  # bytes that are looked at at a time
_MOST_CHUNKS = 8  # that have letters beyond ASCII
_MOST_WORDS = 2_000
_WORD = re.compile(rb"[A-Za-z\x80-\xff'-]+")
_UTF_8 = re.compile(
    rb"(?:[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
)
# Letters beyond ASCII by language, the most frequent first.
_WESTERN = [
    "éèàêçôîâûùœëïüæÿ",  # French
    "üäöß",  # German
    "óíáéñúü",  # Spanish
    "ãçáéõíâêóúàôü",  # Portuguese
    "àèùòìéíîó",  # Italian
    "äåöøæé",  # Nordic
    "ëéïèöüêíóäá",  # Dutch
    "áðíóþúéöýæ",  # Icelandic
]
_CENTRAL = [
    "łąężśóćńź",  # Polish
    "íáěéýčřžšůúťďňó",  # Czech
    "áíéčýžšľúťňôäďĺŕó",  # Slovak
    "áéöőíüóúű",  # Hungarian
    "ăîşâţșț",  # Romanian
    "čšžćđ",  # Croatian, Slovene
]
_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
_UKRAINIAN = "оанівиртекслудмпязьбгчйхцїжєщюшфґ"
_CYRILLIC = [
    _RUSSIAN,
    _UKRAINIAN,
    "аиоентрсвлкдпмзгяъубчцйжщхюшфь",  # Bulgarian
    "аиоенрстујквдпмлгзбшчцћжњљхђфџ",  # Serbian
]
_GREEK = ["ατοιενρσκηπςυμλίόάγέδήωχθύφβώξζψϊϋΐΰ"]
_TURKISH = ["ıüşçğöiâîû"]  # İ in small letters begins with i
_BALTIC = ["ėųšžįčąūę", "āīēšūņļžčģķ", "äõüöšž"]  # Lithuanian, Latvian, Estonian
_HEBREW = ["יוהלרבתמאשנעםדקחפסכגטצןזךףץ"]
_ARABIC = ["اليمونرتبةعدسفهكقأحجشطصىخإذثضغزظءئآؤپچگژ"]
_THAI = ["านร่อก้เงมยลิวดัทสีตะปบคหแจพชข์ืุำใไู็โผซธณฟถภึศษญฉฐฝฮๆฎฏฆฬฌฒฑฤฯ๊๋"]
# The first of equals is taken, so the likeliest come first.
_CODE_PAGES = {
    "cp1252": _WESTERN,
    "cp1250": _CENTRAL,
    "cp1251": _CYRILLIC,
    "cp1253": _GREEK,
    "cp1254": _TURKISH,
    "cp1255": _HEBREW,
    "cp1256": _ARABIC,
    "cp1257": _BALTIC,
    "cp874": _THAI,
    "iso8859-2": _CENTRAL,
    "iso8859-5": _CYRILLIC,
    "iso8859-7": _GREEK,
    "cp850": _WESTERN,
    "cp852": _CENTRAL,
    "cp866": [_RUSSIAN],
    "mac-roman": _WESTERN,
    "koi8-r": [_RUSSIAN],
    "koi8-u": [_UKRAINIAN],
    "latin-1": _WESTERN,
}
# How much less likely an encoding is before its letters are looked at.
_RARER = dict.fromkeys(_CODE_PAGES, -3.0) | {"cp1252": 0.0, "cp1251": -1.0, "cp1250": -2.0}
_RARER |= dict.fromkeys(("cp850", "cp852", "mac-roman", "iso8859-7", "latin-1"), -7.0)
# Japanese, Chinese, Korean; the first bytes that begin the characters in daily use.
_TWO_BYTES = {
    "cp932": (0x82, 0x97),
    "gb18030": (0xB0, 0xD7),
    "big5": (0xA4, 0xC6),
    "cp949": (0xB0, 0xC8),
    "euc_jp": (0xA4, 0xCF),
}
KNOWN = ["utf-8", "utf-16", "cp437", "shift_jis", "euc-kr", *_CODE_PAGES, *_TWO_BYTES]
_EAST_ASIAN = re.compile(r"[\u3041-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
_BESIDE_LATIN = re.compile(rf"(?<=[A-Za-z]){_EAST_ASIAN.pattern}|{_EAST_ASIAN.pattern}(?=[A-Za-z])")
_NO_LETTERS = "ªºµ"  # which Unicode counts as letters
_INNER_SIGNS = "–’\xad"  # a dash, an apostrophe, a hyphen within Latin and Cyrillic words
_WITHOUT_VOWEL = re.compile(
    r"(?i)\b(?:(?![аеёиоуыэюяіїєр])[\u0400-\u04ff]){2,}\b|\b(?:(?![αεηιουωάέήίόύώϊϋΐΰ])[\u0370-\u03ff]){2,}\b"
)
_AT_ENDS = "ךםןףץς"  # forms of letters that end a word
# Natural logarithms of what is likely: how much one more letter tells.
_SIGNS = dict.fromkeys("–—‘’‚“”„«»€£§°№…·•\xa0\u200e\u200f", math.log(0.02))
_OTHER_SIGN, _STRANGE_LETTER, _CONTROL = math.log(1e-4), math.log(1e-3), math.log(1e-9)
_ODD, _NEIGHBOURS, _CAPITAL = -5.0, -1.0, -0.2
_SHORT = 60  # bytes beyond ASCII that may be letters of a code page by chance
_SURE = 8.0  # by so much the second best must be less likely


@dataclass(frozen=True)
class Guess:
    """The encoding that a text seems to be in, as `encoding` in `params.yaml` has it, and
    another one that fits about as well but reads other letters, if there is one.
    """

    encoding: str
    rival: str | None = None


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8, but for a character that their end cuts."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(data)
    except UnicodeDecodeError:
        return False
    cut = len(decoder.getstate()[0])
    return not cut or not data[:-cut].isascii()


def find_broken_utf8(data: bytes) -> int | None:
    """Return the position of the first byte that is not UTF-8, where nearly all others
    beyond ASCII are.
    """
    whole = sum(len(found) for found in _UTF_8.findall(data))
    beyond = len(data.translate(None, _ASCII))
    if not beyond or whole < 0.8 * beyond:
        return None
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def find_unicode(data: bytes) -> str | None:
    """Return the form of Unicode that a text is in, by its mark, its zero bytes, or since
    all its bytes are UTF-8; None for any other encoding.
    """
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return encoding
    start = data[: 1 << 16]
    wide = (encoding for encoding in ("utf-16-le", "utf-16-be") if _is_wide(start, encoding))
    return next(wide, "utf-8" if is_utf8(data) else None)


def _is_wide(data: bytes, encoding: str) -> bool:
    """Whether letters have two bytes: half of a digit, delimiter or line break is zero then;
    a few zero bytes that other text is padded with stand anywhere.
    """
    first = 1 if encoding.endswith("le") else 0
    zeros, others = data[first::2].count(0), data[1 - first :: 2].count(0)
    ends = data.decode(encoding, "replace").count("\n")
    return zeros > max(len(data) / 40, 4 * others) and ends >= 0.7 * data.count(b"\n")


def guess_encoding(data: bytes) -> Guess:
    """Guess the encoding of a text from its start, or the whole of it."""
    unicode = find_unicode(data)
    if unicode:
        return Guess(unicode)
    evidence = b"".join(_non_ascii_chunks(data))
    guess = _guess_code_page(data, evidence)
    possible = [encoding for encoding in _TWO_BYTES if _is_east_asian(evidence, encoding)]
    if not possible:
        return guess
    is_short = len(evidence.translate(None, _ASCII)) < _SHORT
    return Guess(_guess_east_asian(evidence, possible), guess.encoding if is_short else None)


def _non_ascii_chunks(data: bytes) -> Iterator[bytes]:
    """Yield the parts of a text that have letters beyond ASCII, but for the lines that their
    borders cut.
    """
    chunks = (data[place : place + _CHUNK] for place in range(0, len(data), _CHUNK))
    for chunk in itertools.islice((one for one in chunks if not one.isascii()), _MOST_CHUNKS):
        lines = chunk.splitlines(keepends=True)
        whole = lines[1:-1] if len(lines) > 2 and len(chunk) == _CHUNK else lines
        yield b"".join(line for line in whole if not line.isascii())


def _is_east_asian(data: bytes, encoding: str) -> bool:
    """Whether all bytes make characters of two bytes, nearly all beyond ASCII are East
    Asian ones in daily use, and few touch Latin ones.

    A letter with an accent would be the first half of such a character, and the letter
    behind it the second.
    """
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    first, last = _TWO_BYTES[encoding]
    written = _EAST_ASIAN.findall(text)
    usual = sum(first <= character.encode(encoding)[0] <= last for character in written)
    beside = len(_BESIDE_LATIN.findall(text))
    return len(written) > 0.7 * beyond and usual > 0.8 * len(written) > 4 * beside


def _guess_east_asian(data: bytes, possible: list[str]) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:20_000], cp_isolation=list(_TWO_BYTES)).best()
    return best.encoding if best and best.encoding in possible else possible[0]


def _guess_code_page(data: bytes, evidence: bytes) -> Guess:
    found = dict.fromkeys(word for word in _WORD.findall(evidence) if not word.isascii())
    words = b" ".join(list(found)[:_MOST_WORDS])
    used = bytes(sorted(set(data.translate(None, _ASCII))))
    likelihood: dict[str, float] = {}
    encodings: dict[str, str] = {}  # what the words read as -> the first that reads them so
    for encoding, languages in _CODE_PAGES.items():
        try:
            used.decode(encoding)
        except UnicodeDecodeError:
            continue
        text = words.decode(encoding)
        if text not in encodings:
            encodings[text] = encoding
            likelihood[encoding] = _likelihood(text, languages) + _RARER[encoding]
    best, *others = sorted(likelihood, key=lambda encoding: -likelihood[encoding])
    is_sure = not others or likelihood[best] - likelihood[others[0]] > _SURE
    return Guess(best, None if is_sure else others[0])


def _likelihood(text: str, languages: list[str]) -> float:
    """Return the log likelihood of the letters beyond ASCII in the language that they fit
    best; a letter has the inverse of its rank as its frequency (Zipf's law).
    """
    beyond = Counter(letter for letter in text if letter > "\x7f")
    known = {letter for alphabet in languages for letter in alphabet}
    letters: Counter[str] = Counter()
    total = 0.0
    for letter, count in beyond.items():
        small = letter.lower()[0]
        if small in known or (letter.isalpha() and letter not in _NO_LETTERS):
            letters[small] += count
            total += _CAPITAL * count * (letter != small)
        else:
            total += count * _SIGNS.get(letter, _CONTROL if letter < "\xa0" else _OTHER_SIGN)
    total += max(_fit(letters, alphabet) for alphabet in languages)
    return total + _judge_places(text, known)


def _fit(letters: Counter[str], alphabet: str) -> float:
    weights = {letter: 1 / (rank + 3) for rank, letter in enumerate(alphabet)}
    whole = sum(weights.values())
    return sum(
        count * (math.log(weights[letter] / whole) if letter in weights else _STRANGE_LETTER)
        for letter, count in letters.items()
    )


def _judge_places(text: str, known: set[str]) -> float:
    """Return what speaks against a text: capitals behind small letters, signs and foreign
    letters within words, accents side by side, words without a vowel.
    """
    total = 0.0
    for (before, after), count in Counter(itertools.pairwise(f" {text} ")).items():
        if max(before, after) <= "\x7f":
            continue
        first, second = _is_letter(before, known), _is_letter(after, known)
        if first and second:
            is_odd = (
                (before.islower() and after.isupper())
                or _script(before) != _script(after)
                or before in _AT_ENDS
            )
            total += count * _ODD * is_odd
            total += count * _NEIGHBOURS * ("\x7f" < min(before, after) < "\u0370")
        elif first and after > "\x7f" and not after.isspace():
            is_inner = after in _INNER_SIGNS and _script(before) in ("Latin", "Cyrillic")
            total += count * _ODD / 2 * (not is_inner)
    return total + _ODD / 2 * len(_WITHOUT_VOWEL.findall(text))


def _is_letter(character: str, known: set[str]) -> bool:
    return character in known or (character.isalpha() and character not in _NO_LETTERS)


def _script(letter: str) -> str:
    if letter < "\u0370":
        return "Latin"
    return "Greek" if letter < "\u0400" else "Cyrillic" if letter < "\u0530" else "other"
