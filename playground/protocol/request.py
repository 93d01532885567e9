"""A request to a backend: frozen, and validated when it is made.

Each sampling parameter carries its range and a sentence of help as field metadata, so that the
check, the page's sliders and the documentation cannot disagree.
"""

import dataclasses
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

from playground.errors import InvalidRequest
from playground.protocol.messages import Message, Tool

MAX_STOP_STRINGS = 16
MAX_TOP_LOGPROBS = 20
MAX_STOP_TOKEN_IDS = 64


class Priority(IntEnum):
    """Scheduling priority: lower values first, first come first served within one."""

    INTERACTIVE = 0
    BATCH = 1


def _ranged(default: Any, low: float, high: float, help: str) -> Any:
    return field(default=default, metadata={"minimum": low, "maximum": high, "help": help})


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen.

    The order of operations is that of transformers' ``LogitsProcessor`` chain: penalties and bias
    on the raw logits, then temperature, then top-k, top-p and min-p.

    Raises `InvalidRequest` naming the field, the value and the allowed range.
    """

    temperature: float = _ranged(
        0.7, 0.0, 2.0, "0 always takes the likeliest token; higher is more varied."
    )
    top_p: float = _ranged(
        1.0, 0.0, 1.0, "Keep the likeliest tokens whose probabilities add up to this."
    )
    top_k: int = _ranged(0, 0, 1_000_000, "Keep only this many of the likeliest tokens; 0 is off.")
    min_p: float = _ranged(
        0.0, 0.0, 1.0, "Drop tokens less likely than this share of the likeliest one."
    )
    repetition_penalty: float = _ranged(
        1.0, 0.01, 10.0, "Above 1, tokens seen in prompt or answer become less likely."
    )
    presence_penalty: float = _ranged(
        0.0, -2.0, 2.0, "Above 0, tokens already in the answer become less likely, once."
    )
    frequency_penalty: float = _ranged(
        0.0, -2.0, 2.0, "Above 0, tokens become less likely each time they appear in the answer."
    )
    max_tokens: int | None = _ranged(
        None, 0, 1_000_000, "The longest answer in tokens; empty means to the end of the context."
    )
    min_tokens: int = _ranged(
        0,
        0,
        1_000_000,
        "Neither end token nor stop string ends the answer before this many tokens.",
    )
    seed: int | None = _ranged(
        None, -(2**63), 2**63 - 1, "The same seed gives the same answer; empty draws a new one."
    )
    stop: tuple[str, ...] = field(
        default=(), metadata={"help": "The answer ends before the first of these strings."}
    )
    stop_token_ids: tuple[int, ...] = field(
        default=(), metadata={"help": "The answer ends before the first of these tokens."}
    )
    include_stop_str_in_output: bool = field(
        default=False, metadata={"help": "The answer ends behind its stop string instead."}
    )
    ignore_eos: bool = field(
        default=False, metadata={"help": "Go on behind the model's end token, to the token limit."}
    )
    logit_bias: Mapping[int, float] = field(
        default_factory=dict, metadata={"help": "Added to the logit of a token id, -100 to 100."}
    )
    logprobs: int | None = _ranged(
        None, 0, MAX_TOP_LOGPROBS, "Report each token's log-probability, and this many others."
    )
    prompt_logprobs: int | None = _ranged(
        None, 0, MAX_TOP_LOGPROBS, "The same for the tokens of the prompt."
    )

    def __post_init__(self) -> None:
        for parameter in dataclasses.fields(self):
            if "minimum" in parameter.metadata:
                self._check_range(parameter)
        if len(self.stop) > MAX_STOP_STRINGS:
            raise InvalidRequest("stop", f"{len(self.stop)} strings; {MAX_STOP_STRINGS} at most")
        if not all(isinstance(text, str) and text for text in self.stop):
            raise InvalidRequest("stop", "each must be a string of at least one character")
        self._check_limits()
        for token, bias in self.logit_bias.items():
            if not (isinstance(token, int) and token >= 0):
                raise InvalidRequest("logit_bias", f"{token!r} is not a token id")
            if not (isinstance(bias, (int, float)) and -100 <= bias <= 100):
                raise InvalidRequest("logit_bias", f"{bias!r} is not between -100 and 100")

    def chosen(self) -> dict[str, object]:
        """The values that are not the defaults, by name."""
        return {
            parameter.name: getattr(self, parameter.name)
            for parameter in dataclasses.fields(self)
            if parameter.name != "seed"
            and getattr(self, parameter.name) not in (parameter.default, {})
        }

    def _check_limits(self) -> None:
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise InvalidRequest(
                "min_tokens", f"{self.min_tokens} is more than max_tokens, {self.max_tokens}"
            )
        if len(self.stop_token_ids) > MAX_STOP_TOKEN_IDS:
            count = len(self.stop_token_ids)
            raise InvalidRequest("stop_token_ids", f"{count} ids; {MAX_STOP_TOKEN_IDS} at most")
        for token in self.stop_token_ids:
            if not (isinstance(token, int) and token >= 0):
                raise InvalidRequest("stop_token_ids", f"{token!r} is not a token id")

    def _check_range(self, parameter: "dataclasses.Field[Any]") -> None:
        value, name = getattr(self, parameter.name), parameter.name
        if value is None and parameter.default is None:
            return
        whole = parameter.type in (int, int | None)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise InvalidRequest(name, f"{value!r} is not {'an integer' if whole else 'a number'}")
        low, high = parameter.metadata["minimum"], parameter.metadata["maximum"]
        if name == "max_tokens" and self.prompt_logprobs is None:
            low = 1  # none is for scoring a prompt
        if not (math.isfinite(value) and low <= value <= high):
            raise InvalidRequest(name, f"{value!r} is not between {low} and {high}")


def new_request_id() -> str:
    """A fresh id, unique across processes."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """``auto``: the model decides. ``none``: no call. ``required``: at least one. ``names`` are
    the functions that may be called, empty for all; ``parallel`` allows several in one answer.
    """

    mode: Literal["auto", "none", "required"] = "auto"
    names: tuple[str, ...] = ()
    parallel: bool = True


FormatKind = Literal["schema", "regex", "choice", "grammar"]


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The form that an answer is to have: JSON that meets ``schema``, text that ``pattern`` matches
    as a whole (a regular expression), one of ``choices``, or what a grammar in ``pattern`` allows
    (Lark, as llguidance reads it). ``name`` and ``description`` of a schema are for the model.

    With ``strict`` a schema that decoding cannot guarantee is refused; otherwise an answer that
    breaks it is returned with the guarantee ``none``.
    """

    schema: Mapping[str, object] = field(default_factory=dict)
    strict: bool = False
    name: str = ""
    description: str = ""
    kind: FormatKind = "schema"
    pattern: str = ""
    choices: tuple[str, ...] = ()


ANY_OBJECT = ResponseFormat({"type": "object"})
"""Any JSON object: OpenAI's ``json_object``."""


@dataclass(frozen=True, slots=True)
class Request:
    """One answer asked of one model: either chat ``messages`` or a raw ``prompt``.

    It holds what the client asked; how tools and schemas are enforced is the backend's business.
    ``prompt`` is text, or token ids taken as they are. ``continue_final`` asks for the last
    assistant message to be continued instead of a new one to be begun, ``template_kwargs`` are
    variables of the model's chat template. ``reasoning_effort`` is how much the model is to reason
    before it answers, empty for its default. With ``fit_max_tokens`` a token limit beyond the
    context is lowered to what fits, otherwise it raises `ContextOverflow`. ``adapter_hash``, if
    given, is the version that has to answer: where ``model`` stands for another one by then, the
    request raises `AdapterChanged` instead. ``user`` names the caller's own user. ``conversation``
    (an id) and ``prompt_version`` (``NAME@VERSION`` of a stored prompt) say what the answer belongs
    to, for whoever counts answers; no backend reads them.
    ``client`` is whose share of the engine it takes, where several ask at once.
    Raises `InvalidRequest` unless exactly one of messages and prompt is given.
    """

    model: str
    messages: tuple[Message, ...] = ()
    prompt: str | tuple[int, ...] | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    response_format: ResponseFormat | None = None
    sampling: Sampling = field(default_factory=Sampling)
    continue_final: bool = False
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    reasoning_effort: str = ""
    fit_max_tokens: bool = True
    adapter_hash: str = ""
    priority: Priority = Priority.INTERACTIVE
    id: str = field(default_factory=new_request_id)
    user: str = ""
    conversation: str = ""
    prompt_version: str = ""
    client: str = ""

    def __post_init__(self) -> None:
        if self.prompt is None and not self.messages:
            raise InvalidRequest("messages", "at least one message is needed")
        if self.prompt is not None and self.messages:
            raise InvalidRequest("prompt", "give messages or a prompt, not both")
        if self.prompt is not None and len(self.prompt) == 0:
            raise InvalidRequest("prompt", "must not be empty")
        if self.continue_final and (not self.messages or self.messages[-1].role != "assistant"):
            raise InvalidRequest("messages", "only a last assistant message can be continued")
