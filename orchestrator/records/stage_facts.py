"""What the record of a stage tells of it."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.records.hashes import CONTENT
from orchestrator.records.record import Git, StageRecord
from orchestrator.stages import INGESTION

_SOURCE = "source "  # what the parts of a fingerprint begin with that are sources


def find_sources(entry: StageRecord) -> dict[str, str]:
    """Return what ingestion read: sources -> MD5, and the programs that make the
    sample; no MD5 where none is known.
    """
    if entry.name != INGESTION:
        return {}
    found = {
        name.removeprefix(_SOURCE): value.removeprefix(CONTENT)
        for name, value in entry.decided_by.items()
        if value.startswith(CONTENT)
    }
    with_files = {name.partition(",")[0] for name in found}
    others = [
        name
        for name in entry.decided_by.get("sources", "").split(", ")
        if name and name not in with_files
    ]
    return dict.fromkeys(others, "") | found


def describe_stage(entry: StageRecord, git: Git | None) -> dict[str, Any]:
    """Return what a report shows of a stage's lineage: inputs and outputs as pairs of
    name and hash, its code.
    """
    outputs = [[path, content.md5] for path, content in entry.outputs.items()]
    if entry.model and entry.model.address:
        outputs.append([entry.model.address, ""])
    inputs = {path: content.md5 for path, content in entry.inputs.items()}
    inputs |= {f"source {name}": md5 for name, md5 in find_sources(entry).items()}
    return {
        "inputs": [[name, version] for name, version in inputs.items()],
        "outputs": outputs,
        "notebook": entry.notebook_sha256 or "",
        "commit": git.commit if git else "",
        "dirty": bool(git and git.dirty),
    }


def find_parameters(entry: StageRecord) -> dict[str, Any]:
    """Return the parameters of a stage, with the defaults of its notebook at that time."""
    prefix = f"stages.{entry.name}."
    parts = entry.decided_by.items()
    found = {
        name.removeprefix(prefix): json.loads(value)
        for name, value in parts
        if name.startswith(prefix)
    }
    return found or entry.parameters
