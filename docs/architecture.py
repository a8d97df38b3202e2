"""Draws the picture in docs/architecture.md from the imports of the code.

    python docs/architecture.py

A box is a package (or a module beside the packages), an arrow an import that no longer way
of other arrows stands for.
"""

from __future__ import annotations

import re
from pathlib import Path

import grimp
import networkx

PAGE = Path(__file__).with_suffix(".md")
BEGIN, END = "```mermaid\n", "```\n"
PARTS = ("orchestrator", "churn")


def main() -> None:
    """Renew the picture in the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(put_in(text, draw()), encoding="utf-8")


def put_in(text: str, picture: str) -> str:
    """Return the page with another picture."""
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    return re.sub(pattern, lambda _: BEGIN + picture + END, text, count=1, flags=re.DOTALL)


def draw() -> str:
    """Return the picture in Mermaid's language."""
    code = grimp.build_graph(*PARTS)
    imports = networkx.DiGraph()
    for module in sorted(code.modules):
        for imported in sorted(code.find_modules_directly_imported_by(module)):
            one, other = _box(module), _box(imported)
            if one != other and "churn" not in (one, other) and "orchestrator" not in (one, other):
                imports.add_edge(one, other)
    lines = ["flowchart TD"]
    for part in PARTS:
        boxes = sorted(box for box in imports if box.startswith(f"{part}."))
        lines += [f"  subgraph {part}", *(f"    {box}[{_name(box)}]" for box in boxes), "  end"]
    arrows = networkx.transitive_reduction(imports).edges
    lines += [f"  {one} --> {other}" for one, other in sorted(arrows)]
    return "\n".join(lines) + "\n"


def _box(module: str) -> str:
    """Return the package at the top of a part, or the module there."""
    return ".".join(module.split(".")[:2])


def _name(box: str) -> str:
    folder = Path(__file__).parents[1] / box.replace(".", "/")
    return f'"{folder.name}/"' if folder.is_dir() else f'"{folder.name}.py"'


if __name__ == "__main__":
    main()
