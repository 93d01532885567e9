"""Parameters that clients can send and this server does not apply.

A parameter is either in a body's schema and applied, or listed here: ignored with the reason why
that is harmless, or refused with what is supported instead. Anything else is refused as unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from playground.api.errors import Refused
from playground.protocol.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A parameter that is refused, except for values that ask for nothing (``harmless``)."""

    supported: str
    harmless: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class UnsupportedParameters:
    """Parameters that an endpoint ignores, by name with the reason, and those it refuses."""

    ignored: Mapping[str, str]
    refused: Mapping[str, Unsupported]

    def strip(self, body: JsonObject) -> JsonObject:
        """The body without them. Raises `Refused` naming the first that asks for something."""
        for name, value in body.items():
            rule = self.refused.get(name)
            if rule and value is not None and value not in rule.harmless:
                raise Refused(
                    400, "unsupported_parameter", f"{name} is not supported: {rule.supported}", name
                )
        return {
            name: value
            for name, value in body.items()
            if name not in self.ignored and name not in self.refused
        }


REASONS = {
    "user": "names the caller's own user; nothing is kept of it",
    "safety_identifier": "names the caller's own user; nothing is kept of it",
    "service_tier": "there is one tier",
    "prompt_cache_key": "the prefix cache needs no hint",
    "prompt_cache_options": "the prefix cache needs no hint",
    "prompt_cache_retention": "the prefix cache needs no hint",
}
"""Ignored by every endpoint that answers, and why."""

_IGNORED = REASONS | {
    "guided_decoding_backend": "there is one engine for grammars",
}

_REFUSED = {
    "safety_model": Unsupported("no second model judges the answer"),
    "compliance": Unsupported("this server makes no such promise"),
    "skip_special_tokens": Unsupported("control tokens are never shown", (True,)),
    "truncate_prompt_tokens": Unsupported("a prompt is never cut; shorten the conversation"),
    "use_beam_search": Unsupported("answers are drawn one token after another", (False,)),
}

_UNKEPT = {
    "metadata": "labels for a log of completions; none is kept",
    "store": "asks to keep the completion for later; none is kept",
}

CHAT = UnsupportedParameters(
    ignored=MappingProxyType(_IGNORED),
    refused=MappingProxyType(
        _REFUSED
        | {
            "modalities": Unsupported('answers are text, ["text"]', (["text"], [])),
            "audio": Unsupported("answers are text"),
            "prediction": Unsupported("answers are not drafted from a prediction"),
            "moderation": Unsupported("answers are not moderated"),
            "web_search_options": Unsupported("nothing is searched for"),
            "reasoning": Unsupported(
                "set reasoning_effort, where the model has it", ({}, {"enabled": False})
            ),
            "prompt_mode": Unsupported("set reasoning_effort, where the model has it"),
            "verbosity": Unsupported("ask for a short or a long answer in a message", ("medium",)),
            "echo": Unsupported("only /v1/completions repeats its prompt", (False,)),
        }
    ),
)

COMPLETION = UnsupportedParameters(
    ignored=MappingProxyType(_IGNORED | _UNKEPT),
    refused=MappingProxyType(
        _REFUSED
        | {
            "best_of": Unsupported("every answer made is returned; use n", (1,)),
            "suffix": Unsupported("text is only continued, not filled in", ("",)),
        }
    ),
)
