"""Everything that is kept: feedback in SQLite, adapters and uploads in folders."""

from playground.store.feedback import Feedback, KeptAnswer, KeptExchange, NewAnswer

__all__ = ["Feedback", "KeptAnswer", "KeptExchange", "NewAnswer"]
