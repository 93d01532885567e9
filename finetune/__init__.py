"""Trains models and adapters: rows → recipe → training steps → adapter → report card."""
