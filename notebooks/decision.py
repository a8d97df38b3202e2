"""All that follows the test set, under one name: the notebook's imports stay short."""

from __future__ import annotations

import challenge
import model_card
import plots
import profit
import reasons
import segments

__all__ = ["challenge", "model_card", "plots", "profit", "reasons", "segments"]
