"""The laboratory: prompts and models side by side. Lanes run as one batch on the one base."""

from playground.lab.compare import Lane, LaneEvent, ask_lanes, blind_order, lane_of

__all__ = ["Lane", "LaneEvent", "ask_lanes", "blind_order", "lane_of"]
