"""The recipe's numbers, in one frozen object that is saved with the run."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Recipe:
    """Sizes, schedule and seeds. Steps are optimiser steps; tokens are counted without padding."""

    vocabulary: int = 3584
    hidden: int = 256
    layers: int = 4
    heads: int = 8
    kv_heads: int = 2
    feed_forward: int = 768
    context: int = 4096
    rope_theta: float = 1e8
    """So large that some rotary pairs hardly turn: they carry content for the copying heads."""

    seed: int = 3
    tokenizer_rows: int = 30_000
    steps: int = 20_000
    batch_tokens: int = 1_536
    longest_row: int = 512
    chunk_rows: int = 256
    """Rows drawn at once and batched by length."""

    repeat_steps: int = 400
    """The first phase: random tokens, repeated. The copying heads settle before any words come."""
    repeat_share: float = 0.12
    """Share of random repeats that stays in the mixture afterwards."""
    copying_steps: int = 2_500
    """Until here a quarter of the rows is copying practice; later a little."""
    one_tool_steps: int = 800
    two_tools_steps: int = 1_800

    matrix_rate: float = 0.0016
    """Muon, for the matrices. 0.002 and more destroyed the structured initialisation."""
    vector_rate: float = 0.0007
    """AdamW, for embeddings and norms."""
    repeat_matrix_scale: float = 0.45
    repeat_vector_scale: float = 0.02
    warmup_steps: int = 20
    decay_share: float = 0.64
    """The last share of the steps over which the rates fall to nothing."""
    prompt_weight: float = 0.1
    prompt_share: float = 0.3
    """This share of the prompt's tokens is learned too, with this weight."""

    def shortened(self, steps: int) -> "Recipe":
        """The same recipe with every phase in proportion to fewer (or more) steps."""
        scale = steps / self.steps
        return replace(
            self,
            steps=steps,
            repeat_steps=round(self.repeat_steps * scale),
            copying_steps=round(self.copying_steps * scale),
            one_tool_steps=round(self.one_tool_steps * scale),
            two_tools_steps=round(self.two_tools_steps * scale),
        )


def tiny() -> Recipe:
    """Small enough for a test: it shows that the steps work, not that the model learns."""
    return replace(
        Recipe(),
        hidden=64,
        layers=3,
        heads=4,
        feed_forward=96,
        batch_tokens=256,
        longest_row=128,
        chunk_rows=24,
    ).shortened(8)
