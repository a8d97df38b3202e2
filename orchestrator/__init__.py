"""Runs the six notebooks: order, retries, reports and records."""
