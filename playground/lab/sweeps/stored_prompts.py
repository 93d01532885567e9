"""Stored prompts with their versions, as the prompts of a sweep. Knows no backend."""

from collections.abc import Sequence

from playground.lab.prompts import Prompts, tools_of
from playground.lab.sweeps.definition import SweepPrompt
from playground.protocol import Message


class StoredPrompts:
    """See `playground.lab.sweeps.reading.PromptSource`."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    def sweep_prompt(self, reference: str) -> SweepPrompt:
        """Return the version that ``NAME@3``, ``NAME@LABEL`` or ``NAME`` names.

        Raises `UnknownPrompt`, and `InvalidRequest` for tools that are none.
        """
        name, _, version = reference.partition("@")
        found = self._prompts.version(name, version or None)
        content = found.content
        return SweepPrompt(
            f"{found.name}@{found.number}",
            tuple(Message(each.role, each.content) for each in content.messages),
            tools_of(content),
            content.schema,
            {each.name: each.default for each in content.variables if each.default is not None},
        )

    def sweep_references(self) -> Sequence[str]:
        """All versions as ``NAME@VERSION``, the latest of each name first."""
        return [
            f"{prompt.name}@{version.number}"
            for prompt in self._prompts.all()
            for version in reversed(prompt.versions)
        ]
