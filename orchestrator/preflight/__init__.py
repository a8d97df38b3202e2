"""What is checked in seconds before the first stage starts, and the plan that comes of it."""

from orchestrator.preflight.parameters import Parameter, declared_parameters
from orchestrator.preflight.plan import Check, Examination, Plan, examine, make_plan

__all__ = ["Check", "Examination", "Parameter", "Plan", "declared_parameters", "examine", "make_plan"]
