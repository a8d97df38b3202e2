"""The servers that flows report to: Prefect's, and those of `churn ui`."""
