"""Versions of Mistral's tokenizers, as data: what each one's template can hold.

The templates themselves are mistral-common's (`mistral_common.tokens.tokenizers.instruct`). Knows
no vocabulary and no message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from playground.errors import UnsupportedModel
from playground.models.call_formats import CallFormatName


@dataclass(frozen=True, slots=True)
class MistralVersion:
    """``call_format`` is how calls are written, None where the template has none;
    ``text_beside_calls``: one answer may hold both. ``max_results``: results of one answer's calls.

    ``thinks``: answers may begin with a thinking block, if the vocabulary has its tokens;
    ``thinks_before_format``: those of a response format, too. ``has_settings``: the file names
    model settings (reasoning effort, the answer's schema). ``sentencepiece``: such files exist.
    """

    call_format: CallFormatName | None = None
    text_beside_calls: bool = False
    max_results: int | None = None
    thinks: bool = False
    thinks_before_format: bool = False
    has_settings: bool = False
    sentencepiece: bool = False


VERSIONS: Mapping[str, MistralVersion] = MappingProxyType(
    {
        "v1": MistralVersion(sentencepiece=True),
        "v2": MistralVersion("mistral_v2", max_results=1, sentencepiece=True),
        "v3": MistralVersion("mistral_v3", sentencepiece=True),
        "v7": MistralVersion("mistral", text_beside_calls=True, sentencepiece=True),
        "v11": MistralVersion("mistral_v11", text_beside_calls=True),
        "v13": MistralVersion("mistral_v13", text_beside_calls=True, thinks=True),
        "v15": MistralVersion(
            "mistral_v13",
            text_beside_calls=True,
            thinks=True,
            thinks_before_format=True,
            has_settings=True,
        ),
    }
)


def version_of(name: str, path: object, *, sentencepiece: bool) -> MistralVersion:
    """Return the version of a tokenizer file.

    Raises `UnsupportedModel` naming a version that is not known, or not of this kind of file.
    """
    version = VERSIONS.get(name)
    if version is None:
        known = ", ".join(VERSIONS)
        raise UnsupportedModel(f"{path} has the tokenizer version {name!r}; known are {known}")
    if sentencepiece and not version.sentencepiece:
        raise UnsupportedModel(f"{path}: version {name} is read from tekken.json only")
    return version
