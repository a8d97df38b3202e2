"""Two runs side by side: what differs, and only that."""

from orchestrator.compare.runs import Comparison, compare_runs, find_last_good

__all__ = ["Comparison", "compare_runs", "find_last_good"]
