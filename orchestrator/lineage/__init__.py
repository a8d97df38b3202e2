"""What made what: a graph of all runs, walks through it, and OpenLineage events."""
