"""The processes that train one run together, as `accelerate launch` and `torchrun` start them.

Each holds the whole base and the adapter, and takes its share of every step's micro batches; DDP
adds the gradients. The first one alone locks, logs, saves and publishes. What they tell each other
beside gradients goes through a group of its own over gloo, which waits for days: the first one may
read rows for long. Knows launchers' environment variables and torch's process groups; knows no
file of a run.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

from playground.errors import InvalidSettings

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup
    from torch.distributed.distributed_c10d import Store

START_TIMEOUT = timedelta(minutes=30)
"""For all processes to start; one machine may be slower to import than another."""
STEP_TIMEOUT = timedelta(hours=2)
"""For gradients; the longest that the others wait is for the first one's samples and checkpoint."""
WAIT_TIMEOUT = timedelta(days=7)
WATCH_INTERVAL_S = 1.0
GRACE_S = 10.0
"""For a process to end by itself once another has failed."""
FAILED = 3
FAILURE_KEY = "failed"
TRUE = ("1", "true", "yes", "on", "y", "t")
ValueT = TypeVar("ValueT")


class OtherProcessFailed(SystemExit):
    """Another process has failed first, and has said why: this one ends without a word."""

    def __init__(self) -> None:
        super().__init__(FAILED)


@dataclass(frozen=True, slots=True)
class Launch:
    """A process's place among the ``number`` of a run; ``local_rank`` is that among those of its
    host."""

    rank: int = 0
    local_rank: int = 0
    number: int = 1

    @property
    def label(self) -> str:
        """Begins this process's errors; empty if it is alone."""
        return f"process {self.rank} of {self.number}: " if self.number > 1 else ""


@dataclass(frozen=True, slots=True)
class _Links:
    """How processes reach each other: keys and values, and a group for messages."""

    store: "Store"
    group: "ProcessGroup"


class Processes:
    """The processes of a run, seen from one of them. Every method but the properties has to be
    called by all of them, in the same order."""

    def __init__(self, launch: Launch = Launch(), links: _Links | None = None) -> None:
        self._launch = launch
        self._links = links

    @property
    def number(self) -> int:
        """How many there are."""
        return self._launch.number

    @property
    def rank(self) -> int:
        """Which one this is, from 0."""
        return self._launch.rank

    @property
    def is_first(self) -> bool:
        """Whether this is the one that locks, logs, saves and publishes."""
        return self.rank == 0

    @property
    def device(self) -> str:
        """The device that this process loads onto, as `ModelSpec` has it."""
        if self._links is None:
            return "auto"
        return f"cuda:{self._launch.local_rank}" if _uses_cuda(os.environ) else "cpu"

    def on_first(self, work: Callable[[], ValueT]) -> ValueT:
        """Call ``work`` in the first process and return its result, pickled, in all."""
        if self._links is None:
            return work()
        from torch import distributed

        box: list[object] = [work() if self.is_first else None]
        distributed.broadcast_object_list(box, src=0, group=self._links.group)
        return cast(ValueT, box[0])

    def gather(self, value: ValueT) -> list[ValueT]:
        """Return each process's value, by rank, in all."""
        if self._links is None:
            return [value]
        from torch import distributed

        values: list[object] = [None] * self.number
        distributed.all_gather_object(values, value, group=self._links.group)
        return cast("list[ValueT]", values)

    def any(self, flag: bool) -> bool:
        """Return in all whether the flag is set in one."""
        if self._links is None:
            return flag
        import torch
        from torch import distributed

        value = torch.tensor([int(flag)], dtype=torch.int32)
        distributed.all_reduce(value, distributed.ReduceOp.MAX, group=self._links.group)
        return bool(value.item())

    def check_same(self, value: str, what: str) -> None:
        """Raise `InvalidSettings` in all if a process has another value than the first."""
        values = self.gather(value)
        others = [rank for rank, other in enumerate(values) if other != values[0]]
        if others:
            raise InvalidSettings(
                f"process {others[0]} has {what} other than process 0's: give all machines the same"
                " PLAYGROUND_HOME, on a file system that they share"
            )


ALONE = Processes()


def launch_of(environment: Mapping[str, str]) -> Launch:
    """Read which process this is from what `accelerate launch` and `torchrun` set.

    Raises `InvalidSettings` for variables that contradict each other.
    """
    try:
        number = int(environment.get("WORLD_SIZE") or 1)
        rank = int(environment.get("RANK") or 0)
        local_rank = int(environment.get("LOCAL_RANK") or 0)
    except ValueError as error:
        raise InvalidSettings(f"RANK, LOCAL_RANK, WORLD_SIZE: {error}") from None
    if number > 1 and "RANK" not in environment:
        raise InvalidSettings(
            f"WORLD_SIZE is {number} and RANK is not set: start with accelerate launch or torchrun"
        )
    if not 0 <= rank < max(1, number) or local_rank < 0:
        raise InvalidSettings(f"RANK is {rank}, WORLD_SIZE {number}, LOCAL_RANK {local_rank}")
    return Launch(rank, local_rank, max(1, number))


def check_strategy(environment: Mapping[str, str], quantization: str) -> None:
    """Raise `InvalidSettings` if the launcher asks for another strategy than DDP."""

    def asks_for(name: str) -> bool:
        return environment.get(name, "").lower() in TRUE

    advice = "start with accelerate launch --multi_gpu, or torchrun (DDP)"
    if asks_for("ACCELERATE_USE_FSDP"):
        if environment.get("FSDP_VERSION") == "2" and quantization == "nf4":
            raise InvalidSettings(
                "FSDP2 with NF4 gives wrong outputs (bitsandbytes#1945) and corrupts weights "
                f"without a word (accelerate#3983); {advice}"
            )
        raise InvalidSettings(
            "FSDP is not supported: each process loads the whole base, so that sharding it would "
            f"spare nothing; {advice}"
        )
    for name, strategy in (
        ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed"),
        ("ACCELERATE_USE_MEGATRON_LM", "Megatron-LM"),
    ):
        if asks_for(name):
            raise InvalidSettings(f"{strategy} is not supported; {advice}")
    if asks_for("ACCELERATE_USE_PARALLELISM_CONFIG"):
        sizes = {"TP": "tensor", "CP": "context", "SP": "sequence", "DP_SHARD": "sharded data"}
        wanted = [
            kind
            for name, kind in sizes.items()
            if environment.get(f"PARALLELISM_CONFIG_{name}_SIZE", "1") not in ("", "1")
        ]
        if wanted:
            raise InvalidSettings(f"{wanted[0]} parallelism is not supported; {advice}")


@contextmanager
def joined(environment: Mapping[str, str]) -> Iterator[Processes]:
    """Join the other processes of the launch, if there are any, while the block runs.

    A process that fails in the block ends all: the others raise `OtherProcessFailed`, or exit.
    Raises `InvalidSettings` if a machine has fewer GPUs than processes.
    """
    launch = launch_of(environment)
    if launch.number == 1:
        yield Processes(launch)
        return
    from torch import distributed

    links = _join(launch, environment)
    ended = threading.Event()
    watching = threading.Thread(target=_watch, args=(_clone(links.store), ended), daemon=True)
    watching.start()
    try:
        yield Processes(launch, links)
        distributed.destroy_process_group()
    except BaseException as error:
        if not _fails_first(links.store, str(launch.rank)):
            raise OtherProcessFailed from error
        raise
    finally:
        ended.set()


def _uses_cuda(environment: Mapping[str, str]) -> bool:
    import torch

    on_cpu = environment.get("ACCELERATE_USE_CPU", "").lower() in TRUE
    return torch.cuda.is_available() and not on_cpu


def _join(launch: Launch, environment: Mapping[str, str]) -> _Links:
    import torch
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    # accelerate says "no" by default, and the trainer would take it for the recipe's
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
    uses_cuda = _uses_cuda(environment)
    if uses_cuda:
        gpus = torch.cuda.device_count()
        if launch.local_rank >= gpus:
            raise InvalidSettings(
                f"process {launch.local_rank} of this machine finds no GPU: it has {gpus}, so start"
                f" {gpus} processes a machine"
            )
        torch.cuda.set_device(launch.local_rank)
    store, rank, number = next(rendezvous("env://", timeout=START_TIMEOUT))
    attempt = environment.get("TORCHELASTIC_RESTART_COUNT", "0")
    distributed.init_process_group(
        "nccl" if uses_cuda else "gloo",
        store=PrefixStore(f"gradients/{attempt}", store),
        rank=rank,
        world_size=number,
        timeout=STEP_TIMEOUT,
    )
    group = distributed.new_group(backend="gloo", timeout=WAIT_TIMEOUT)
    return _Links(PrefixStore(f"finetune/{attempt}", store), cast("ProcessGroup", group))


def _fails_first(store: "Store", rank: str) -> bool:
    """Tell the others of a failure; return whether none of them has failed before."""
    try:
        return store.compare_set(FAILURE_KEY, "", rank).decode() == rank
    except RuntimeError:  # the process that holds the store is gone
        return False


def _clone(store: "Store") -> "Store":
    """Return a connection of its own: one that waits keeps all others of its connection waiting."""
    return cast("Store", store.clone())  # type: ignore[attr-defined]


def _watch(store: "Store", ended: threading.Event) -> None:
    """End this process if another has failed and this one hangs in an exchange with it."""
    while not ended.wait(WATCH_INTERVAL_S):
        try:
            if store.check([FAILURE_KEY]):
                break
        except RuntimeError:  # the process that holds the store is gone
            break
    else:
        return
    if not ended.wait(GRACE_S):
        os._exit(FAILED)
