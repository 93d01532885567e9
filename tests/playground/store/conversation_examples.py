"""Conversations that several tests keep."""

from playground.store.conversation_types import NewConversation, NewItem


def said(role: str, text: str, **about: object) -> NewItem:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text}]
    return NewItem({"type": "message", "role": role, "content": content}, about)


CHAT = NewConversation(kind="chat", model="embedded")
ASKED = said("user", "Who painted the Mona Lisa?")
ANSWERED = said("assistant", "Leonardo da Vinci.", model="embedded")
OTHER_ANSWER = said("assistant", "Leonardo, around 1503.", model="embedded")
FOLLOW_UP = said("user", "Where does it hang?")
TALK = [ASKED, ANSWERED, FOLLOW_UP, said("assistant", "In the Louvre.")]
