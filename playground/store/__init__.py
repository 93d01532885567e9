"""What people say about answers, kept in SQLite: votes, thumbs, edits, and rows made of them."""

from playground.store.feedback import Feedback, KeptAnswer, KeptExchange, NewAnswer

__all__ = ["Feedback", "KeptAnswer", "KeptExchange", "NewAnswer"]
