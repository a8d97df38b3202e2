"""Two runs side by side: what differs, and only that."""

from orchestrator.compare.run_differences import Comparison, compare_runs, find_last_good

__all__ = ["Comparison", "compare_runs", "find_last_good"]
