"""An executed notebook as a page that runs nothing and loads nothing, whatever the notebook holds.

Three things see to it: outputs and markdown are rebuilt from a list of allowed tags;
the template has no script; and a Content-Security-Policy stands first in the page.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import tinycss2  # type: ignore[import-untyped]
from bleach.css_sanitizer import ALLOWED_CSS_PROPERTIES, CSSSanitizer  # type: ignore[import-untyped]
from bleach.sanitizer import Cleaner  # type: ignore[import-untyped]
from bs4 import BeautifulSoup
from nbconvert.exporters.html import HTMLExporter
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.preprocessors.coalescestreams import CoalesceStreamsPreprocessor
from nbformat import NotebookNode

from orchestrator.notebook.cells import heading_above, is_code, last_heading
from orchestrator.site.rendering import TEMPLATES
from orchestrator.words import say_duration

# What a page can show without a script, the best first.
_SHOWN = [
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TAGS = _words("""
    a abbr acronym b big blockquote br caption center cite code col colgroup dd del
    details dfn div dl dt em figcaption figure font h1 h2 h3 h4 h5 h6 hr i img ins kbd
    li mark ol p pre q s samp section small span strike strong sub summary sup table
    tbody td tfoot th thead tr tt u ul var wbr
""")
_DROPPED_WHOLE = _words(
    "script style title noscript template iframe object embed applet math svg textarea select head"
)
_ATTRIBUTES = _words("""
    align alt border class color colspan dir headers height id lang open reversed
    rowspan scope size span start style title type valign value width
""")
_PROPERTIES = _words("""
    background border border-bottom border-bottom-left-radius border-bottom-right-radius
    border-bottom-style border-bottom-width border-collapse border-left border-left-
    style border-left-width border-radius border-right border-right-style border-right-
    width border-spacing border-style border-top border-top-left-radius border-top-
    right-radius border-top-style border-top-width border-width caption-side list-style-
    type margin margin-bottom margin-left margin-right margin-top max-height max-width
    min-height min-width opacity overflow-wrap overflow-x overflow-y padding padding-
    bottom padding-left padding-right padding-top table-layout text-overflow text-
    transform vertical-align white-space word-break word-spacing
""") | frozenset(ALLOWED_CSS_PROPERTIES)
# pandas' Styler gives its tables ids of their own; a rule for anything else could hide
# what the report says.
_IMAGE = re.compile(r"<img\b[^>]*>")
_OWN_SELECTOR = re.compile(r"#T_\w+[\w\s.:#()>\-]*")


class _Exporter(HTMLExporter):  # type: ignore[misc]
    """nbconvert's exporter without what a report does not need: ten preprocessors, and
    parsing the page once more.
    """

    def from_notebook_node(
        self, nb: NotebookNode, resources: Any = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        language = nb.metadata.get("language_info", {})
        lexer = language.get("pygments_lexer", "ipython3")
        self.register_filter("highlight_code", Highlight2HTML(pygments_lexer=lexer, parent=self))
        page: tuple[str, dict[str, Any]] = TemplateExporter.from_notebook_node(
            self, nb, self._init_resources(resources), **kw
        )
        return page


@dataclass(frozen=True)
class Heading:
    """A line of the table of contents; `is_at_fault` where the failed cell stands below it."""

    title: str
    anchor: str
    is_at_fault: bool


def render(notebook: NotebookNode, title: str) -> str:
    """Return a report's notebook as a page."""
    resources = {
        "metadata": {"name": title},
        "style": _style(),
        "contents": list_headings(notebook),
    }
    page: str = _exporter().from_notebook_node(_with_places(notebook), resources=resources)[0]
    return page


def _with_places(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook whose code cells know their number, as messages count them, and
    the heading above them.
    """
    cells, number = [], 0
    for index, cell in enumerate(notebook.cells):
        number += is_code(cell)
        place = (
            {"number": number, "heading": heading_above(notebook, index)} if is_code(cell) else {}
        )
        cells.append(NotebookNode({**cell, "metadata": {**cell.metadata, "place": place}}))
    return NotebookNode({**notebook, "cells": cells})


def list_headings(notebook: NotebookNode) -> list[Heading]:
    """Return the table of contents: the headings of the markdown cells, and below which
    of them it failed.
    """
    found: list[Heading] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (title := last_heading(cell.source)):
            found.append(Heading(title, f"text-{cell.get('id', '')}", is_at_fault=False))
        elif (
            cell.cell_type == "code"
            and cell.metadata.get("papermill", {}).get("status") == "failed"
            and found
        ):
            found[-1] = replace(found[-1], is_at_fault=True)
    return found


@functools.cache
def _style() -> str:
    return "".join(
        (TEMPLATES / name).read_text(encoding="utf-8")
        for name in ("site/style.css", "stage/stage.css")
    )


@functools.cache
def _exporter() -> _Exporter:
    exporter = _Exporter(
        template_name="stage",
        extra_template_basedirs=[str(TEMPLATES)],
        sanitize_html=True,
        embed_images=True,
        exclude_anchor_links=True,
        default_preprocessors=[CoalesceStreamsPreprocessor],
        preprocessors=[CoalesceStreamsPreprocessor],
        optimistic_validation=True,
    )
    exporter.register_filter("clean_html", clean)
    exporter.register_filter("filter_data_type", _choose_types)
    exporter.register_filter("size", _write_size)
    exporter.register_filter("duration", say_duration)
    return exporter


def clean(content: Any) -> str:
    """Return HTML as far as it only shows something: no script, no frame, no form,
    nothing loaded from elsewhere.
    """
    markup: str = content.decode() if isinstance(content, bytes) else str(content)
    if "<" not in markup and "&" not in markup:
        return markup
    rules = ""
    if any(f"<{name}" in markup.lower() for name in _DROPPED_WHOLE):
        soup = BeautifulSoup(markup, "html.parser")
        rules = "".join(
            rule for style in soup.find_all("style") for rule in _clean_rules(style.get_text())
        )
        for element in soup.find_all(list(_DROPPED_WHOLE)):
            element.decompose()
        markup = str(soup)
    cleaned: str = _IMAGE.sub(_mend_image, _cleaner().clean(markup))
    return f"<style>{rules}</style>{cleaned}" if rules else cleaned


def _mend_image(tag: re.Match[str]) -> str:
    """Drop an image that may not be loaded; one without a text for those who do not see
    it gets an empty one.
    """
    image = tag.group()
    if " src=" not in image:
        return ""
    return image if " alt=" in image else image.replace("<img", '<img alt=""', 1)


@functools.cache
def _cleaner() -> Cleaner:
    return Cleaner(
        tags=_TAGS,
        attributes=_is_allowed,
        protocols={"http", "https", "mailto", "data"},
        css_sanitizer=_css(),
        strip=True,
    )


@functools.cache
def _css() -> CSSSanitizer:
    return CSSSanitizer(allowed_css_properties=_PROPERTIES)


def _is_allowed(tag: str, name: str, value: str) -> bool:
    if tag == "img" and name == "src":
        return value.strip().lower().startswith("data:image/")
    if tag == "a" and name == "href":
        return not value.strip().lower().startswith("data:")
    if name == "style":
        return "url(" not in value.lower() and "\\" not in value
    return name in _ATTRIBUTES


def _clean_rules(style: str) -> Iterator[str]:
    """Yield the rules of a style sheet that only dress a Styler's own table."""
    for rule in tinycss2.parse_stylesheet(style, skip_comments=True, skip_whitespace=True):
        if rule.type != "qualified-rule":
            continue
        selectors = tinycss2.serialize(rule.prelude).strip()
        declarations = _css().sanitize_css(tinycss2.serialize(rule.content))
        own = all(_OWN_SELECTOR.fullmatch(selector.strip()) for selector in selectors.split(","))
        if own and declarations and not re.search(r"[<\\]|url\(", declarations, re.IGNORECASE):
            yield f"{selectors} {{{declarations}}}\n"


def _choose_types(data: dict[str, Any]) -> list[str]:
    return [kind for kind in _SHOWN if kind in data][:1]


def _write_size(metadata: Any, name: str) -> str:
    """Return an attribute for an image's width or height, if it is a number: nothing
    else may stand in the page.
    """
    value = metadata.get(name) if isinstance(metadata, dict) else None
    return f' {name}="{value}"' if isinstance(value, (int, float)) else ""
