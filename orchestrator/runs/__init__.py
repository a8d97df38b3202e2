"""A run in progress and its stages: measured, reported and recorded."""
