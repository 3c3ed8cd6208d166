"""Demonstration of ``wave_step_fixed``: one wave on several devices, an animated page and a PNG."""

from .page import verdict, wave_page
from .picture import contact_sheet, levels
from .runs import CORE, Outcome, Plan, drops, outcomes

__all__ = ["CORE", "Outcome", "Plan", "contact_sheet", "drops", "levels", "outcomes", "verdict", "wave_page"]
