"""Inside a token, beside the Chat tab: the last answer colored by probability, from which another
token can be taken (``assets/tokens.js``), the prompt as the model is given it, and a text's
perplexity. Changes no conversation."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from playground.errors import InvalidRequest
from playground.lab.tokens import (
    INCOMPLETE,
    Fork,
    RenderedPrompt,
    Scored,
    rendered_prompt,
    score_answer,
    score_text,
)
from playground.protocol import TokenLogprob
from playground.ui.chat.states import chat_request
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.events import ACTION
from playground.ui.components.markup import render
from playground.ui.components.messages import History, last_user_index, text_of, turn
from playground.ui.components.sampling import ControlValue, SamplingControls

LEVELS = (0.9, 0.5, 0.2, 0.05)
"""Probabilities at which a token's color changes."""
MOST_TOKENS = 4_000
"""Of a longer prompt the middle is left out."""


@dataclass(frozen=True, slots=True)
class TokenParts:
    """The fold. ``fork`` is clicked when a token was chosen, which is JSON in ``chosen``."""

    color: gr.Button
    prompt: gr.Button
    view: gr.HTML
    text: gr.Textbox
    score: gr.Button
    fork: gr.Button
    chosen: gr.Textbox


@dataclass(frozen=True, slots=True)
class ConversationParts:
    """What is looked at."""

    chatbot: gr.Chatbot
    message: gr.Textbox
    model: gr.Dropdown
    system: gr.Textbox
    sampling: SamplingControls


@dataclass(frozen=True, slots=True)
class ViewUpdate:
    """What the fold shows."""

    view: str


@dataclass(frozen=True, slots=True)
class TokenHandlers:
    """The handlers."""

    answering: Answering

    async def color(
        self, history: History, model: str, system: str, **sampling: ControlValue
    ) -> ViewUpdate:
        """Color the last answer by the probability of its tokens."""
        last = last_user_index(history)
        answer = text_of(history[-1]["content"]) if history else ""
        if last is None or last == len(history) - 1 or not answer:
            raise InvalidRequest("answer", "there is none yet; send a message first")
        request = chat_request(model, system, history[: last + 1], sampling)
        scored = await score_answer(self.answering.backend, request, answer)
        return ViewUpdate(scored_html(scored, answer_key(answer)))

    async def show_prompt(
        self,
        history: History,
        draft: str,
        model: str,
        system: str,
        **sampling: ControlValue,
    ) -> ViewUpdate:
        """Show the prompt of the message in the box, or of the last one that was sent."""
        last = last_user_index(history)
        if draft.strip():
            question = [*history, turn("user", draft)]
        elif last is not None:
            question = history[: last + 1]
        else:
            raise InvalidRequest("message", "write one first")
        request = chat_request(model, system, question, sampling)
        return ViewUpdate(prompt_html(await rendered_prompt(self.answering.backend, request)))

    async def perplexity(self, text: str, model: str) -> ViewUpdate:
        """Color a text by the probability of its tokens."""
        return ViewUpdate(scored_html(await score_text(self.answering.backend, model, text)))


def token_parts() -> TokenParts:
    """Build the fold in the current layout."""
    with gr.Accordion("Tokens", open=False, elem_id="tokens"):
        with gr.Row(elem_classes="actions"):
            color = gr.Button("Color the last answer", size="sm", elem_id="tokens-color")
            prompt = gr.Button("Show the prompt", size="sm", elem_id="tokens-prompt")
        view = gr.HTML(elem_id="tokens-view", container=False)
        text = gr.Textbox(
            label="Perplexity of a text",
            placeholder="Paste a text",
            lines=2,
            max_lines=8,
            elem_id="text",
        )
        score = gr.Button("Measure", size="sm", elem_id="tokens-score")
    return TokenParts(
        color=color,
        prompt=prompt,
        view=view,
        text=text,
        score=score,
        fork=gr.Button("Fork", visible="hidden", elem_id="fork"),
        chosen=gr.Textbox(visible="hidden"),
    )


def wire_tokens(parts: TokenParts, shown: ConversationParts, handlers: TokenHandlers) -> None:
    """Wire the fold; forking is the conversation's own event."""
    conversation = {"inputs_kwargs": shown.sampling.by_name(), **ACTION}
    parts.color.click(
        **bind(handlers.color, parts),
        inputs=[shown.chatbot, shown.model, shown.system],
        **conversation,
    )
    parts.prompt.click(
        **bind(handlers.show_prompt, parts),
        inputs=[shown.chatbot, shown.message, shown.model, shown.system],
        **conversation,
    )
    parts.score.click(
        **bind(handlers.perplexity, parts), inputs=[parts.text, shown.model], **ACTION
    )


def fork_of(chosen: str | None, history: History) -> Fork:
    """Return the place that was chosen in the colored answer. Raises `InvalidRequest` if another
    answer is shown by now."""
    try:
        parsed = json.loads(chosen or "{}")
    except ValueError:
        parsed = {}
    values = parsed if isinstance(parsed, dict) else {}
    position, token_id = values.get("position"), values.get("token_id")
    if not (isinstance(position, int) and isinstance(token_id, int)):
        raise InvalidRequest("fork", "choose a token of the colored answer")
    if not history or values.get("answer") != answer_key(text_of(history[-1]["content"])):
        raise InvalidRequest("fork", "another answer is shown by now; color it first")
    return Fork(position, token_id)


def answer_key(answer: str) -> str:
    """Return what tells a colored answer from another."""
    return hashlib.sha256(answer.encode()).hexdigest()[:16]


def scored_html(scored: Scored, key: str = "") -> str:
    """Return tokens in colors; with an answer's ``key`` another token may be taken."""
    return render(
        "chat/scored.html",
        tokens=[_token(token, bool(key)) for token in scored.tokens],
        key=key,
        perplexity=scored.perplexity,
        bits=scored.bits_per_byte,
        count=len(scored.tokens),
    )


def prompt_html(shown: RenderedPrompt) -> str:
    """Return a prompt with its control tokens marked, and its tokens by part."""
    half = MOST_TOKENS // 2
    tokens: Sequence[object] = shown.tokens
    left_out = max(0, len(tokens) - MOST_TOKENS)
    return render(
        "chat/prompt_tokens.html",
        prompt=shown,
        begin=tokens[:half] if left_out else tokens,
        end=tokens[-half:] if left_out else (),
        left_out=left_out,
    )


def _token(token: TokenLogprob, forks: bool) -> dict[str, object]:
    known = not math.isnan(token.logprob)
    chance = math.exp(token.logprob) if known else 1.0
    others = [
        {
            "token_id": each.token_id,
            "text": _visible(each),
            "percent": percent(math.exp(each.logprob)),
            "chosen": each.token_id == token.token_id,
            "forks": forks and INCOMPLETE not in each.text,
        }
        for each in token.alternatives
    ]
    return {
        "text": token.text,
        "visible": _visible(token),
        "level": sum(chance < level for level in LEVELS),
        "percent": percent(chance) if known else "",
        "others": json.dumps(others),
    }


def _visible(token: TokenLogprob) -> str:
    """Return a token as it can be read: spaces and line breaks as signs, bytes by number."""
    if INCOMPLETE in token.text:
        return "".join(f"\\x{byte:02x}" for byte in token.utf8)
    return token.text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥") or "⟨end⟩"


def percent(chance: float) -> str:
    """Return a probability as a percentage of two or three digits."""
    value = 100 * chance
    return f"{value:.0f}%" if value >= 99.5 else f"{value:.1f}%" if value >= 0.1 else "<0.1%"
