"""The graph that the project's own notebooks make."""

from __future__ import annotations

from helpers.projects import ROOT
from orchestrator.notebook.stage_graph import read_graph
from orchestrator.project import Project
from orchestrator.stages import is_dataset, is_pointer

GRAPH = read_graph(Project(ROOT))
STAGES = GRAPH.training.stages
STAGE_NAMES = GRAPH.training.stage_names
SCORING = GRAPH.scoring
_WRITTEN = [path for stage in STAGES for path in stage.writes]
DATASETS = tuple(filter(is_dataset, _WRITTEN))
POINTERS = tuple(filter(is_pointer, _WRITTEN))
