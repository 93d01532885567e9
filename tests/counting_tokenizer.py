"""A tokenizer that counts how often it renders, to show that nothing is rendered twice."""

from collections.abc import Mapping, Sequence
from typing import Any

from playground.models.mistral_tokenizer import MistralTokenizer
from playground.protocol import Message, Tool


class CountingTokenizer(MistralTokenizer):
    """Counts how often a prompt is rendered."""

    num_renders = 0

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        continue_final: bool = False,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> list[int]:
        self.num_renders += 1
        return super().render(
            messages, tools, continue_final=continue_final, template_kwargs=template_kwargs
        )
