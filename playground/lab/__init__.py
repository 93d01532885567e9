"""The laboratory: prompts and models side by side. Lanes run as one batch on the one base."""

from playground.lab.compare import (
    MAX_LANES,
    MIN_LANES,
    Lane,
    LaneEvent,
    ask_lanes,
    blind_order,
    lane_of,
)

__all__ = ["MAX_LANES", "MIN_LANES", "Lane", "LaneEvent", "ask_lanes", "blind_order", "lane_of"]
