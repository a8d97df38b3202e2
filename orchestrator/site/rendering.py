"""Pages from templates: self-contained, escaped, and under a policy that lets nothing
else run or load.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.atomic_files import write_atomically
from orchestrator.words import say_duration, say_moment, say_status

TEMPLATES = Path(__file__).parent.parent / "templates"


def render(template: str, *, script: str = "", **facts: Any) -> str:
    """Return a page. `script` names the one script that it may run, which stands in the
    page; without, it runs none.

    All texts are escaped.
    """
    code = _read(script) if script else ""
    allowed = f"script-src 'sha256-{_hash(code)}'; " if code else ""
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; {allowed}form-action 'none'"
    )
    style = Markup(_read("style.css"))
    return (
        _environment()
        .get_template(template)
        .render(style=style, script=Markup(code), policy=policy, **facts)
    )


def write_page(path: Path, page: str) -> None:
    """Write a page whole.

    Raises:
        WriteError: it cannot be written; an earlier one stays as it was.
    """
    write_atomically(path, page.encode(errors="replace"), durable=False)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES / "site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": say_duration, "moment": say_moment, "words": say_status}
    return environment


@functools.cache
def _read(name: str) -> str:
    return (TEMPLATES / "site" / name).read_text(encoding="utf-8")


def _hash(code: str) -> str:
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


@functools.cache
def templates_hash() -> str:
    """Return a hash of all templates: a page that was made with others is out of date."""
    digest = hashlib.sha256()
    for file in sorted(TEMPLATES.rglob("*.*")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
