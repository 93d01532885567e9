"""The Usage tab: what answers took and cost."""
