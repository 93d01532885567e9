"""Configs of published models, as in their config.json: what their memory is planned with before
they are downloaded. Of models with a vision tower it is the text tower's.

The catalogue names these functions; transformers is imported once one is called.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import LlamaConfig, Ministral3Config, MistralConfig


def mistral_small_config() -> "MistralConfig":
    """Return the config of Mistral-Small-24B-Instruct-2501."""
    return _mistral_24b(max_position_embeddings=32_768, rope_theta=1e8)


def mistral_small_3_1_config() -> "MistralConfig":
    """Return the text tower's of Mistral Small 3.1 and 3.2, of Magistral Small 1.2 and, which has
    no other, Devstral Small 1.1.
    """
    return _mistral_24b(max_position_embeddings=131_072, rope_theta=1e9)


def mistral_nemo_config() -> "MistralConfig":
    """Return the config of Mistral-Nemo-Base-2407, whose shape the instruction-tuned one has."""
    from transformers import MistralConfig

    return MistralConfig(
        vocab_size=131_072,
        hidden_size=5120,
        intermediate_size=14_336,
        num_hidden_layers=40,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=128_000,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=False,
        sliding_window=None,
    )


def mistral_7b_config() -> "MistralConfig":
    """Return the config of Mistral-7B-Instruct-v0.3."""
    from transformers import MistralConfig

    return MistralConfig(
        vocab_size=32_768,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=False,
        sliding_window=None,
    )


def ministral_3_3b_config() -> "Ministral3Config":
    """Return the text tower's of Ministral 3 3B, whose embeddings are tied."""
    from transformers import Ministral3Config

    return Ministral3Config(
        hidden_size=3072,
        intermediate_size=9216,
        num_hidden_layers=26,
        tie_word_embeddings=True,
    )


def ministral_3_8b_config() -> "Ministral3Config":
    """Return the text tower's of Ministral 3 8B: the defaults of transformers."""
    from transformers import Ministral3Config

    return Ministral3Config()


def ministral_3_14b_config() -> "Ministral3Config":
    """Return the text tower's of Ministral 3 14B."""
    from transformers import Ministral3Config

    return Ministral3Config(hidden_size=5120, intermediate_size=16_384, num_hidden_layers=40)


def devstral_small_2_config() -> "Ministral3Config":
    """Return the text tower's of Devstral Small 2: the 24B's shape, with YaRN."""
    from transformers import Ministral3Config

    return Ministral3Config(
        hidden_size=5120,
        intermediate_size=32_768,
        num_hidden_layers=40,
        max_position_embeddings=393_216,
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 1e8,
            "factor": 48.0,
            "original_max_position_embeddings": 8192,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "mscale": 1.0,
            "mscale_all_dim": 1.0,
            "llama_4_scaling_beta": 0.1,
        },
    )


MINISTRAL_3: Mapping[str, "Callable[[], Ministral3Config]"] = MappingProxyType(
    {"3b": ministral_3_3b_config, "8b": ministral_3_8b_config, "14b": ministral_3_14b_config}
)


def _mistral_24b(max_position_embeddings: int, rope_theta: float) -> "MistralConfig":
    from transformers import MistralConfig

    return MistralConfig(
        vocab_size=131_072,
        hidden_size=5120,
        intermediate_size=32_768,
        num_hidden_layers=40,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=max_position_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": rope_theta},
        tie_word_embeddings=False,
        sliding_window=None,
    )


def smollm2_config() -> "LlamaConfig":
    """Return the config of SmolLM2-135M-Instruct, as in its config.json."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 1e5},
        tie_word_embeddings=True,
    )
