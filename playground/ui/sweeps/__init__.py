"""The tab's components, its events and their wiring."""
