"""The domain of customer churn: what the stage notebooks import, in the order of the pipeline."""

from churn.checkout import code_at_hand

# With several checkouts and one environment, the one in which the user stands decides.
__path__ = code_at_hand("churn", __path__)
