"""Thumbs up and down in the Chat tab, kept with the conversation and with what made the answer."""

from dataclasses import dataclass

import gradio as gr

from playground.errors import InvalidRequest
from playground.store import Feedback, NewAnswer
from playground.ui.components.messages import (
    History,
    is_thought,
    provenance_of,
    text_of,
    to_messages,
)
from playground.ui.components.sampling import ControlValue


@dataclass(frozen=True, slots=True)
class Rating:
    """The handler."""

    feedback: Feedback

    def rate(
        self,
        liked: gr.LikeData,
        history: History,
        model: str,
        system: str,
        temporary: ControlValue = None,
        **sampling: ControlValue,
    ) -> None:
        """Keep a thumb up or down, or take it back. Raises `InvalidRequest` in a temporary chat."""
        if temporary:
            raise InvalidRequest("rating", "a temporary chat is kept nowhere, nor are its ratings")
        index = position_of(liked)
        if is_thought(history[index]) and index + 1 < len(history):
            index += 1  # the thumb stands under both
        if history[index]["role"] != "assistant" or is_thought(history[index]):
            return
        question = history[:index]
        if question and is_thought(question[-1]):
            question = question[:-1]
        answer = NewAnswer(
            model,
            text_of(history[index]["content"]),
            provenance_of(history[index]),
            system,
            {name: value for name, value in sampling.items() if value not in (None, "")},
        )
        # Clicked again, a thumb is neither: then Gradio 6.31 says "".
        up = liked.liked if isinstance(liked.liked, bool) else None
        self.feedback.rate(to_messages(question), answer, up=up)


def position_of(event: gr.EditData | gr.LikeData) -> int:
    """Return the index of the turn that an event of the Chatbot is about."""
    index: int = event.index if isinstance(event.index, int) else event.index[0]
    return index
