"""The recipe's numbers, in one frozen object that is saved with the run."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class PretrainingRecipe:
    """Sizes, schedule and seeds. Steps are optimizer steps; tokens are counted without padding."""

    vocab_size: int = 3584
    hidden_size: int = 256
    num_hidden_layers: int = 4
    num_attention_heads: int = 8
    num_key_value_heads: int = 2
    intermediate_size: int = 768
    max_position_embeddings: int = 4096
    rope_theta: float = 1e8
    """So large that some rotary pairs hardly turn: they carry content for the copying heads."""

    seed: int = 3
    tokenizer_rows: int = 30_000
    max_steps: int = 20_000
    batch_tokens: int = 1_536
    max_length: int = 512
    """Tokens of a row; longer rows are dropped."""
    chunk_rows: int = 256
    """Rows drawn at once and batched by length."""

    repeat_steps: int = 400
    """The first phase: random tokens, repeated, so that the copying heads settle before text."""
    repeat_fraction: float = 0.12
    """Fraction of random repeats that stays in the mixture afterwards."""
    copying_steps: int = 2_500
    """Up to this step a quarter of the rows is copying practice; less of it later."""
    one_tool_steps: int = 800
    two_tools_steps: int = 1_800

    muon_learning_rate: float = 0.0016
    """For the matrices. 0.002 and more destroyed the structured initialization."""
    adamw_learning_rate: float = 0.0007
    """For embeddings and norms."""
    repeat_muon_scale: float = 0.45
    """Factor on Muon's learning rate during the first phase."""
    repeat_adamw_scale: float = 0.02
    warmup_steps: int = 20
    decay_fraction: float = 0.64
    """The learning rates fall to zero over this last fraction of the steps."""
    prompt_loss_weight: float = 0.1
    prompt_loss_fraction: float = 0.3
    """This fraction of the prompt's tokens is trained on too, with ``prompt_loss_weight``."""

    @property
    def head_dim(self) -> int:
        """Channels of a head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def num_key_value_groups(self) -> int:
        """Query heads for each key-value head."""
        return self.num_attention_heads // self.num_key_value_heads

    def scaled_to(self, max_steps: int) -> "PretrainingRecipe":
        """Return the same recipe with every phase scaled to fewer (or more) steps."""
        scale = max_steps / self.max_steps
        return replace(
            self,
            max_steps=max_steps,
            repeat_steps=round(self.repeat_steps * scale),
            copying_steps=round(self.copying_steps * scale),
            one_tool_steps=round(self.one_tool_steps * scale),
            two_tools_steps=round(self.two_tools_steps * scale),
        )
