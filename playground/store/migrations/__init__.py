"""Migrations, the oldest first. Run by `playground.store.database`."""
