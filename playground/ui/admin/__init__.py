"""The Admin tab: accounts, API keys and who did what."""
