"""Secrets are found in every shape in which they turn up, and nothing else is changed."""

from __future__ import annotations

import base64
import html
import json
import logging
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from churn.params import Params, load_params
from helpers.projects import ROOT
from orchestrator.engine.cell_outputs import StreamCleaner
from orchestrator.redaction import RedactingFilter, Redactor, redactor_for, secret_names

TOKEN = "pa'ss\"w\\ö/rd&<%+ 1"
MARK = "***CRM_TOKEN***"
NAMED = str.maketrans(
    {"'": "&apos;", '"': "&quot;", "\\": "&bsol;", "ö": "&ouml;", "/": "&sol;", "&": "&amp;"}
    | {"<": "&lt;", "%": "&percnt;", "+": "&plus;"}
)


def params_with(auth: dict[str, str], **source: object) -> Params:
    """Return facts of a data set with one API whose credentials come from the environment."""
    crm = {"api": "https://crm.example/v1", "auth": auth, **source}
    label = {"column": "Churn", "positive": "Yes"}
    return Params.model_validate(
        {"name": "CRM", "customer_id": "id", "label": label, "sources": {"crm": crm}}
    )


def redactor(value: str) -> Redactor:
    """Return the redactor of one secret."""
    return redactor_for(params_with({"bearer": "${CRM_TOKEN}"}), {"CRM_TOKEN": value})


@pytest.mark.parametrize(
    "written",
    [
        TOKEN,
        quote(TOKEN),
        quote(TOKEN, safe=""),
        quote(TOKEN, safe="")
        .replace("%C3%B6", "%c3%b6")
        .replace("%2F", "%2f")
        .replace("%5C", "%5c")
        .lower(),
        quote_plus(TOKEN),
        repr(TOKEN)[1:-1],
        ascii(TOKEN)[1:-1],
        json.dumps(TOKEN)[1:-1],
        json.dumps(TOKEN, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(TOKEN))[3:-3],
        repr(TOKEN.encode())[2:-1],
        html.escape(TOKEN),
        html.escape(TOKEN, quote=False),
        base64.b64encode(TOKEN.encode()).decode(),
        base64.urlsafe_b64encode(TOKEN.encode()).decode(),
        json.dumps(TOKEN)[1:-1].replace("&", r"\u0026").replace("<", r"\u003C"),
        json.dumps(json.dumps(TOKEN).replace("&", r"\u0026"))[3:-3],
        "".join(rf"\u{ord(one):04X}" for one in TOKEN),
        quote(quote(TOKEN, safe=""), safe=""),
        quote(quote_plus(quote(TOKEN)), safe=""),
        html.escape(html.escape(TOKEN)),
        json.dumps(html.escape(TOKEN)).replace("&", r"\u0026")[1:-1],
        "".join(f"&#{ord(one)};" for one in TOKEN),
        "".join(f"&#x{ord(one):04X};" for one in TOKEN),
        html.escape("".join(f"&#{ord(one)};" for one in TOKEN)),
        TOKEN.translate(NAMED),
        TOKEN.encode().hex(),
        TOKEN.encode().hex(" ").upper(),
        base64.b32encode(TOKEN.encode()).decode(),
        base64.b32encode(TOKEN.encode()).decode().lower().rstrip("="),
        quote(base64.b64encode(TOKEN.encode()).decode()),
        f"{TOKEN[:9]}\n{TOKEN[9:]}",
        f"{TOKEN[:9]}'\n    b'{TOKEN[9:]}",
        f"{TOKEN[:9]}\\\r\n  {TOKEN[9:]}",
        json.dumps(f"{TOKEN[:9]}\n{TOKEN[9:]}")[1:-1],
        f"{html.escape(TOKEN[:9])}<br/>{html.escape(TOKEN[9:])}",
        "".join(chr(byte) if byte < 128 else rf"\{byte:03o}" for byte in TOKEN.encode()),
    ],
)
def test_a_secret_is_found_in_each_spelling(written: str) -> None:
    """In addresses, `repr`, JSON, bytes, HTML and each of them within itself, in hexadecimal,
    base32 and base64, over two lines; whole, and what stands around it stays.
    """
    assert redactor(TOKEN).clean(f"before {written} behind") == f"before {MARK} behind"


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz", "user:"])
@pytest.mark.parametrize("behind", ["", "!", "@@", ", and more"])
@pytest.mark.parametrize(
    ("encode", "bits"), [(base64.b64encode, 6), (base64.encodebytes, 6), (base64.b32encode, 5)]
)
def test_a_secret_within_an_encoded_text_is_found(
    before: str, behind: str, encode: Callable[[bytes], bytes], bits: int
) -> None:
    """Wherever it stands there, no more is left than parts of its first and last letter."""
    encoded = encode(f"{before * 11}s3cr3t-value{behind}".encode()).decode()
    cleaned = redactor("s3cr3t-value").clean(encoded)
    assert MARK in cleaned
    hidden = len(encoded) - len(cleaned.replace(MARK, ""))
    assert hidden >= 12 * 8 // bits - 2


def test_a_column_of_values_is_not_a_secret() -> None:
    """Digits below each other stay, though together they are one; so does other text."""
    column = "\n".join("12345678")
    assert redactor("12345678").clean(f"{column} 1234567 31:32:33") == f"{column} 1234567 31:32:33"


def test_basic_authentication_is_found_whole() -> None:
    """`user:password` in base64 goes as one, also where the user is written in the params file."""
    params = params_with({"user": "reader", "password": "${CRM_TOKEN}"})
    header = "Basic " + base64.b64encode(b"reader:s3cr3t-value").decode()
    assert redactor_for(params, {"CRM_TOKEN": "s3cr3t-value"}).clean(header) == f"Basic {MARK}"


def test_each_line_of_a_long_secret_counts() -> None:
    """A private key is not shown line by line either; lines that are too short to tell
    anything stay.
    """
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n  kqhkiG9w0BAQEF\n=\n-----END KEY-----\n"
    cleaned = redactor(key).clean(f"{key}then kqhkiG9w0BAQEF and = alone, {json.dumps(key)}")
    assert "MII" not in cleaned
    assert "kqh" not in cleaned
    assert "and = alone" in cleaned


def test_the_password_of_a_secret_address_counts() -> None:
    """A driver that prints only the password of the address in a variable does not show it."""
    params = params_with({"bearer": "${CRM_TOKEN}"}, headers={"X": "${DATABASE_URL}"})
    both = redactor_for(
        params, {"CRM_TOKEN": "", "DATABASE_URL": "postgresql://reader:s3cr%40t@db/crm"}
    )
    assert both.clean("password s3cr@t or s3cr%40t of postgresql://reader:s3cr%40t@db/crm") == (
        "password ***DATABASE_URL*** or ***DATABASE_URL*** of ***DATABASE_URL***"
    )


def test_a_number_that_is_a_secret_is_found_in_json() -> None:
    """As a number, as a text, with a fraction and with commas; other numbers stay, and
    so do true and false.
    """
    content = {"a": [12345678, 12345678.0, 1234567, True], "12345678": "12,345,678"}
    assert redactor("12345678").clean_tree(content) == {
        "a": [MARK, MARK, 1234567, True],
        MARK: MARK,
    }


def test_a_short_secret_is_replaced_as_a_word_only() -> None:
    """`abc` inside a word or a number stays, so that the report can be read."""
    assert redactor("abc").clean("abc, abcd; x=abc") == f"{MARK}, abcd; x={MARK}"
    assert redactor("12").clean_tree([12, 112, "12"]) == [12, 112, MARK]


def test_colour_codes_do_not_hide_a_secret() -> None:
    """A secret that a highlighter has cut into tokens is found; every colour code stays."""
    text = (
        "\x1b[32m'key=s3cr\x1b[39m\x1b[1m3t-va\x1b[0mlue'\x1b[39m then s3cr3t-value\x1b[0m "
        "and \x1b[1;31ms3cr3t-value"
    )
    assert redactor("s3cr3t-value").clean(text) == (
        f"\x1b[32m'key={MARK}\x1b[39m\x1b[1m\x1b[0m'\x1b[39m then {MARK}\x1b[0m and "
        f"\x1b[1;31m{MARK}"
    )


def test_a_traceback_of_ipython_is_cleaned() -> None:
    """In the highlighted source lines and in the messages of an error and its cause,
    whatever the tokens are.
    """
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.core.ultratb import VerboseTB

    secret = "a\\d{0}%s-s3cr3t"
    asking = f"def ask():\n    raise KeyError({secret!r})"
    trying = f"try:\n    ask()\nexcept KeyError as e:\n    raise OSError(2, {secret!r}) from e"
    shown: list[str] = []
    shell = InteractiveShell.instance()
    shell.InteractiveTB = VerboseTB(theme_name="linux")
    shell._showtraceback = lambda etype, evalue, stb: shown.append("\n".join(stb))
    shell.run_cell(f"{asking}\n{trying}")
    InteractiveShell.clear_instance()
    (text,) = shown
    assert "\x1b[" in text
    assert text.count("s3cr3t") >= 4
    cleaned = redactor(secret).clean(text)
    assert "s3cr3t" not in cleaned
    assert cleaned.count(MARK) >= 4


def test_an_image_stays_an_image() -> None:
    """Base64 that looks like a secret by chance is not touched; a secret in an image's
    own text is blotted out.
    """
    picture = b"\x89PNG" + b"\x00tEXtTitle\0made with s3cr3t-value" + bytes(range(256))
    data = {"image/png": base64.b64encode(picture).decode(), "text/plain": "s3cr3t-value"}
    cleaned = redactor("s3cr3t-value").clean_tree(data)
    assert base64.b64decode(cleaned["image/png"]) == picture.replace(b"s3cr3t-value", b"*" * 12)
    assert cleaned["text/plain"] == MARK
    chance = base64.b64encode(bytes(range(256))).decode()
    assert redactor(chance[40:46]).clean_tree({"image/png": chance}) == {"image/png": chance}


def test_a_notebook_is_cleaned_throughout_and_stays_a_notebook() -> None:
    """Sources, outputs, their metadata, attachments and parameters are clean, also when
    a secret is called `data`.
    """
    outputs = [
        new_output("stream", name="stdout", text="user data, s3cr3t-value"),
        new_output(
            "display_data",
            {"text/html": "<td>s3cr3t-value</td>"},
            metadata={"image/png": {"alt": "s3cr3t-value"}},
        ),
        new_output("error", ename="ValueError", evalue="s3cr3t-value", traceback=["s3cr3t-value"]),
    ]
    cell = new_code_cell("x = 's3cr3t-value'", outputs=outputs, execution_count=4)
    text = new_markdown_cell(
        "s3cr3t-value", attachments={"s3cr3t-value.png": {"image/png": "AAAA"}}
    )
    notebook = new_notebook(
        cells=[cell, text], metadata={"papermill": {"parameters": {"token": "s3cr3t-value"}}}
    )
    params = params_with({"user": "${CRM_USER}", "password": "${CRM_TOKEN}"})
    cleaned = redactor_for(
        params, {"CRM_USER": "data", "CRM_TOKEN": "s3cr3t-value"}
    ).clean_notebook(notebook)
    written = nbformat.writes(cleaned)
    assert "s3cr3t" not in written
    assert written.count(MARK) == 9
    assert cleaned.cells[0].outputs[0].text == f"user ***CRM_USER***, {MARK}"
    nbformat.validate(cleaned)
    assert "s3cr3t" in str(notebook), "the notebook that is being executed stays as it is"


def test_a_secret_that_is_an_everyday_word_leaves_names_alone() -> None:
    """A database user called `churn` costs the results and the report no name."""
    notebook = new_notebook(
        cells=[], metadata={"churn": {"status": "running"}, "papermill": {"churned": "churn"}}
    )
    cleaned = redactor("churn").clean_notebook(notebook)
    assert cleaned.metadata == {"churn": {"status": "running"}, "papermill": {"churned": MARK}}


def test_a_log_record_is_clean_with_its_arguments_and_traceback() -> None:
    """Message, arguments, traceback with causes, and stack: what every handler behind
    the filter gets is clean.
    """
    lines: list[str] = []
    handler = logging.Handler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    handler.addFilter(RedactingFilter(redactor("s3cr3t-value")))
    logger = logging.Logger("churn.test")
    logger.addHandler(handler)
    try:
        try:
            raise KeyError("s3cr3t-value")
        except KeyError as error:
            raise OSError("down") from error
    except OSError:
        logger.exception("with %s and %d", "s3cr3t-value", 7, stack_info=True)
    logger.error("does not fit %d", "s3cr3t-value")
    assert "s3cr3t-value" not in "\n".join(lines).replace('raise KeyError("s3cr3t-value")', "")
    assert lines[0].startswith(f"with {MARK} and 7\nTraceback (most recent call last):")
    assert "OSError: down" in lines[0]
    assert f"does not fit %d ('{MARK}',)" in lines[1]


def test_an_error_is_cleaned_with_what_led_to_it() -> None:
    """The messages of an error, its cause and the members of a group hold no secret,
    and its type stays.
    """
    inner = OSError(2, "no such s3cr3t-value", "/tmp/s3cr3t-value")
    error = ExceptionGroup("all", [ValueError("s3cr3t-value", 3)])
    error.__cause__ = inner
    redactor("s3cr3t-value").clean_error(error)
    assert str(inner) == f"[Errno 2] no such {MARK}: '/tmp/{MARK}'"
    assert error.exceptions[0].args == (MARK, 3)


def test_secrets_in_parameters_are_named() -> None:
    """A parameter that holds a secret can be refused before anything is written; a
    short one says nothing.
    """
    both = redactor_for(
        params_with({"user": "${CRM_USER}", "password": "${CRM_TOKEN}"}),
        {"CRM_USER": "ab", "CRM_TOKEN": "87654321"},
    )
    assert both.find({"x": ["see 87654321", 1.5, None, True]}) == {"CRM_TOKEN"}
    assert both.find({"seed": 87654321}) == {"CRM_TOKEN"}
    assert both.find("ab") == set()


def test_without_secrets_everything_is_as_it_was() -> None:
    """A redactor that knows no secret changes nothing; a variable that is set to
    nothing is none.
    """
    for empty in (Redactor(), redactor("")):
        assert empty.clean("any \x1b[1m text") == "any \x1b[1m text"
        assert empty.clean_tree({"a": [1, "b"]}) == {"a": [1, "b"]}


def test_the_secrets_of_the_default_params_are_named() -> None:
    """What `params.yaml` uses in addresses and credentials is a secret."""
    assert secret_names(load_params(ROOT / "params.yaml")) == {"SAMPLE_API", "SAMPLE_TOKEN"}


@pytest.mark.parametrize("size", [1, 3, 8, 50])
def test_a_secret_that_is_printed_in_pieces_is_found(size: int) -> None:
    """In whatever spelling, and wherever a piece ends."""
    written = [
        TOKEN,
        quote(quote(TOKEN, safe=""), safe=""),
        json.dumps(json.dumps(TOKEN))[3:-3],
        "".join(f"&#x{ord(one):04X};" for one in TOKEN),
        TOKEN.encode().hex(" "),
        base64.b64encode(f"user:{TOKEN}".encode()).decode(),
        f"{TOKEN[:9]}\n    {TOKEN[9:]}",
    ]
    text = " then\n".join([*written, "no secret at all: pa'ss, %C3, &#x, \\u00"])
    cleaner = StreamCleaner(redactor(TOKEN))
    pieces = [cleaner.feed(text[start : start + size]) for start in range(0, len(text), size)]
    assert "".join([*pieces, cleaner.finish()]) == redactor(TOKEN).clean(text)
    assert redactor(TOKEN).clean(text).count(MARK) == len(written)


def test_the_cost_of_cleaning_is_linear() -> None:
    """Ten times the text takes about ten times as long, also with many secrets that are
    nearly in it.
    """
    secret = "\n".join(f"{number:02}abcabcabc{number}" * 4 for number in range(30))
    cleaner, text = redactor(secret), "abcabcabcabc0102\x1b[1m" * 2_000
    cleaner.clean("warm")

    def seconds(what: str) -> float:
        start = time.process_time()  # not the hours of a busy machine
        cleaner.clean(what)
        return time.process_time() - start

    assert min(seconds(text * 10) for _ in range(3)) < 50 * min(seconds(text) for _ in range(5))
