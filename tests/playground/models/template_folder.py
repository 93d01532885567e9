"""Tokenizers with a chat template of the test's own, over a vocabulary of bytes."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from playground.models.template_tokenizer import TemplateTokenizer


def write_template_tokenizer(
    folder: Path,
    template: str,
    specials: Sequence[str] = ("<|end|>",),
    added: Sequence[str] = (),
) -> TemplateTokenizer:
    """Save it in ``folder``, with these special and these merely added tokens; the last special one
    ends an answer. Return it as it is loaded.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(
        models.BPE(vocab={piece: at for at, piece in enumerate(alphabet)}, merges=[])
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(name, special=True) for name in specials])
    backend.add_tokens([AddedToken(name, special=False) for name in added])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=specials[-1])
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return TemplateTokenizer(folder)
