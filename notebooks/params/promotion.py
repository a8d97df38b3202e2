"""The rules by which a new model takes the place of the one in use."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .facts import Facts


class Promotion(Facts):
    """When a challenger takes the champion's place: it is better beyond chance, and nowhere worse than allowed."""

    metric: Literal["log_loss", "brier", "roc_auc", "average_precision"] = Field(
        "log_loss", description="what the challenger has to be better at"
    )
    margin: float = Field(
        0.0, ge=0, description="0: it has to be better; more: it may be worse by so much at most (non-inferiority)"
    )
    confidence: float = Field(0.975, gt=0.5, lt=1, description="of the one-sided bound of the difference")
    samples: int = Field(1_000, ge=100, le=100_000, description="bootstrap draws behind that bound")
    fewest_customers: int = Field(100, ge=1, description="untouched customers that it takes to compare at all")
    fewest_churners: int = Field(20, ge=1, description="churners among them, and stayers, that it takes")
    calibration: float = Field(0.02, ge=0, description="by how much the expected calibration error may rise")
    segment: float = Field(0.05, ge=0, description="by how much the ROC AUC of a segment may fall, beyond chance")
    profit: float = Field(0.02, ge=0, description="which share of the champion's profit may be lost")
    latency_ms: float = Field(1_000.0, gt=0, description="longest time to score 1,000 customers, in milliseconds")
    size_mb: float = Field(100.0, gt=0, description="largest size of the model's file, in megabytes")
