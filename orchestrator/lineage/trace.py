"""The answer of `churn trace`: what made something, and what was made from it, as two
trees or as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from orchestrator.lineage.graph import Graph, Node, build_graph, run_of
from orchestrator.lineage.targets import Target, find_target, read_aliases
from orchestrator.project import Project
from orchestrator.records.record import read_records
from orchestrator.records.stage_facts import find_parameters
from orchestrator.stages import VERSIONING, is_pointer

_MOST = 20  # nodes below one; the rest is counted
_HASH = 12  # characters of a hash
_WIDE = 10_000  # characters of a line that no terminal shows: nothing is cut


def trace(project: Project, what: str) -> tuple[Graph, Target]:
    """Read the records of all runs, and find what a text names in them.

    Raises:
        UsageError: it names nothing, or more than one thing.
    """
    graph = build_graph(reversed(list(read_records(project))))
    target = find_target(project, graph, what)
    _forget_missing_differences(project, graph)
    if any(node.kind == "model" for node in graph.nodes.values()):
        for (name, alias), version in read_aliases(project, graph).items():
            if model := graph.nodes.get(f"models:/{name}/{version}"):
                model.facts.setdefault("aliases", []).append(alias)
    return graph, target


def _forget_missing_differences(project: Project, graph: Graph) -> None:
    """A difference was not kept where it was of new files alone, or too long."""
    for node in graph.nodes.values():
        if node.facts.get("difference") and not (project.root / node.facts["difference"]).is_file():
            node.facts["difference"] = None


def as_json(graph: Graph, target: Target) -> str:
    """Return the two walks, and the nodes and edges that they came by."""
    up, down = graph.walk_up(target.up), graph.walk_down(target.down)
    known = dict.fromkeys([*target.up, *target.down, *up, *down])
    nodes = [_as_dict(graph, graph.nodes[one]) for one in known]
    edges = [
        {"from": one, "to": other}
        for one in known
        for other in graph.used_by(one)
        if other in known
    ]
    start = list(dict.fromkeys([*target.up, *target.down]))
    answer = {
        "what": target.title,
        "start": start,
        "made_by": up,
        "used_by": down,
        "nodes": nodes,
        "edges": edges,
    }
    return json.dumps(answer, indent=1)


def _as_dict(graph: Graph, node: Node) -> dict[str, Any]:
    known = {
        "id": node.id,
        "kind": node.kind,
        "name": node.name,
        "version": node.version or None,
        **node.facts,
    }
    return known | (
        {"parameters": find_parameters(graph.entries[node.id])} if node.kind == "execution" else {}
    )


def print_trees(graph: Graph, target: Target) -> None:
    """Print both trees; with plain characters where the terminal or file has no others."""
    console = Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE, highlight=False
    )
    root = Tree(Text(_head(graph, target), style="bold"))
    _Branches(graph, up=True).grow(root.add("made by"), target.up)
    _Branches(graph, up=False).grow(root.add("used by, or made from it"), target.down)
    console.print(root, soft_wrap=not sys.stdout.isatty())


def _head(graph: Graph, target: Target) -> str:
    (first, *others) = [*target.up, ""]
    if others != [""] or graph.nodes[first].kind == "execution":
        return target.title
    words = _describe(graph.nodes[first])
    return words if words.startswith(target.title) else f"{target.title}: {words}"


class _Branches:
    """One of the trees. What is behind a node is shown once; facts that hold for a
    whole run, once for that run.
    """

    def __init__(self, graph: Graph, *, up: bool) -> None:
        self._graph, self._up = graph, up
        self._shown: set[tuple[str, str]] = set()

    def grow(self, tree: Tree, starts: Sequence[str]) -> None:
        """Add all that is behind the starts: behind a single thing, or behind each of several."""
        if len(starts) == 1 and self._graph.nodes[starts[0]].kind != "execution":
            self._shown.add(self._graph.context(starts[0], None, up=self._up))
            self._add(tree, self._near(starts[0], None), starts[0])
        else:
            self._add(tree, starts, None)
        if not tree.children:
            tree.add("nothing that is recorded")

    def _near(self, one: str, user: str | None) -> list[str]:
        near = self._graph.made_by(one, user) if self._up else self._graph.used_by(one, user)
        return sorted(near, key=self._rank)

    def _rank(self, one: str) -> int:
        """Order neighbours: what ends here, then the way of the data, then versioning,
        which comes by all datasets.
        """
        if self._is_leaf(one):
            return 0
        name = self._graph.nodes[one].name
        return 2 if is_pointer(name) or name == VERSIONING else 1

    def _is_leaf(self, one: str) -> bool:
        return not (self._graph.before if self._up else self._graph.after).get(one)

    def _add(self, tree: Tree, ids: Sequence[str], user: str | None) -> None:
        for one in ids[:_MOST]:
            node = self._graph.nodes[one]
            key = (
                (one, run_of(user))
                if self._is_leaf(one)
                else self._graph.context(one, user, up=self._up)
            )
            if key not in self._shown:
                self._shown.add(key)
                branch = tree.add(Text(_describe(node)))
                if self._up and node.kind == "execution":
                    self._add_parameters(branch, one)
                self._add(branch, self._near(one, user), one)
            elif not self._is_leaf(one) and user:
                tree.add(Text(f"{_name(node)} (see above)", style="dim"))
        if len(ids) > _MOST:
            tree.add(f"and {len(ids) - _MOST} more; --json has all")

    def _add_parameters(self, tree: Tree, one: str) -> None:
        if given := find_parameters(self._graph.entries[one]):
            tree.add(
                Text(
                    "parameters " + ", ".join(f"{name}={value!r}" for name, value in given.items())
                )
            )


def _name(node: Node) -> str:
    return f"{node.name} in run {node.facts['run_id']}" if node.kind == "execution" else node.name


def _describe(node: Node) -> str:
    """Say in one line what a node is."""
    facts, short = node.facts, node.version[:_HASH]
    match node.kind:
        case "execution":
            return _describe_execution(node)
        case "dataset":
            return f"{node.name}  md5 {short}, {facts['files']} files, {facts['bytes']:,} bytes"
        case "source":
            return f"source {node.name}" + (f"  md5 {short}" if short else "")
        case "commit":
            return f"commit {short}{_describe_difference(facts)}"
        case "model":
            aliases = "".join(f" @{alias}" for alias in facts.get("aliases", []))
            return f"model {node.id}{aliases}"
        case "mlflow run":
            return f"MLflow run {node.version}"
        case "code" | "report":
            return f"{node.kind} {node.name}"
        case _:
            return f"{node.name}  sha256 {short}"


def _describe_difference(facts: dict[str, Any]) -> str:
    if not facts["dirty"]:
        return ""
    return (
        ", and what was not committed: "
        f"{facts['difference'] or 'not kept (new files, or too long)'}"
    )


def _describe_execution(node: Node) -> str:
    lost = "; the record of that run is gone" if "record" in node.facts else ""
    reason = f" ({node.facts['decision']})" if node.facts["decision"] else ""
    return f"{_name(node)}: {node.facts['status'].replace('_', ' ')}{reason}{lost}"
