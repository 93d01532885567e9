"""The Prompts tab: its components, its events and their wiring."""
