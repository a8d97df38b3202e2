"""What is done with past runs: verify, rerun, accept, collect garbage, evaluate."""
