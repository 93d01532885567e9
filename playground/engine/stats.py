"""What the engine is doing at this moment, and how often it did what since its start.

Plain numbers, read from any thread: they may be a step old. Knows no names of models.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Requests in the batch and in the queue; tokens of keys and values that running ones hold, and
    how many fit; prompt tokens looked up in the prefix cache, and found; sequences that gave up
    their place; adapter versions in memory, and how often one was put there; bytes of the GPU's
    memory in use and in all, 0 on a CPU.
    """

    running: int
    waiting: int
    cache_tokens: int
    cache_capacity: int
    prompt_tokens: int
    cached_tokens: int
    preemptions: int
    adapters: int
    adapter_loads: int
    gpu_used_bytes: int = 0
    gpu_total_bytes: int = 0
