"""`playground plan`: memory for serving and training, before anything is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from playground.commands.options import with_settings
from playground.runtime import quiet_libraries
from playground.settings import Flags, Quantization, Settings, load_settings

if TYPE_CHECKING:
    from playground.models.plan import MemoryPlan

ALL_QUANTIZATIONS: tuple[Quantization, ...] = ("none", "int8", "nf4")


class Plan(Protocol):
    """Memory in bytes, part by part, for one quantization."""

    @property
    def total(self) -> int:
        """All parts."""

    def rows(self) -> list[tuple[str, int]]:
        """Return the parts by label, the total last."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of memory."""

    name: str
    size: int

    def format(self, count: int) -> str:
        """Return a number of bytes in this unit."""
        return f"{count / self.size:,.2f}"


Plans = Mapping[Quantization, Plan]


@with_settings("", "model")
def plan(
    flags: Flags,
    model: Annotated[str | None, typer.Argument(help="The same as --model.")] = None,
) -> None:
    """Show how much memory serving a model and training on it take.

    Nothing is loaded. All quantizations are shown unless --quantization names one, or the model is
    stored in one.
    """
    settings = load_settings({**flags, "model.name": model} if model else flags)
    quiet_libraries()
    plans = serving_plans(settings, chosen="model.quantization" in flags)
    _print_serving(settings, plans)
    _print_training(settings, tuple(plans))


def serving_plans(settings: Settings, *, chosen: bool) -> "dict[Quantization, MemoryPlan]":
    """Plan every quantization, or only the one that was chosen or is stored."""
    from playground import app
    from playground.models.plan import plan as plan_memory

    spec = app.model_spec(settings)
    given = plan_memory(spec, home=settings.home)
    if chosen or given.stored_as:
        return {given.quantization: given}
    return {
        kind: plan_memory(replace(spec, quantization=kind), home=settings.home)
        for kind in ALL_QUANTIZATIONS
    }


def _print_serving(settings: Settings, plans: "dict[Quantization, MemoryPlan]") -> None:
    from playground.models.config import choose_device
    from playground.models.plan import ADAPTER_RANK, available_bytes

    device = choose_device(settings.model.device)
    free = available_bytes(device)
    given = next(iter(plans.values()))
    stored = f", stored as {given.stored_as}" if given.stored_as else ""
    title = f"{settings.model.name}: {given.parameters:,} parameters{stored}"

    unit = _unit(plans)
    fitting = [_count(plan.largest_context(free)) for plan in plans.values()]
    rows = [
        [f"free on {device}", *[unit.format(free)] * len(plans)],
        ["tokens of context that fit", *fitting],
    ]
    if device.type == "cpu":
        attached = (unit.format(plan.adapter_bytes) for plan in plans.values())
        rows.append([f"each attached adapter, rank {ADAPTER_RANK}", *attached])
        copies = (
            unit.format(plan.weights) if kind == "none" else "" for kind, plan in plans.items()
        )
        rows.append(["packed copy, where it fits", *copies])
    _print_table(title, plans, unit, rows)


def _print_training(settings: Settings, kinds: Sequence[Quantization]) -> None:
    from finetune.presets import recipe_for
    from finetune.training.plan import plan as plan_training
    from playground.models.config import choose_device
    from playground.models.plan import available_bytes

    model = settings.model
    free = available_bytes(choose_device(model.device))
    recipes = {kind: recipe_for(model.name, kind, model.precision, settings.home) for kind in kinds}
    plans = {kind: plan_training(recipe, home=settings.home) for kind, recipe in recipes.items()}
    fitting = [_count(plan.largest_micro_batch(free)) for plan in plans.values()]
    rank = next(iter(recipes.values())).lora_r
    title = f"training a LoRA adapter, rank {rank}"
    _print_table(title, plans, _unit(plans), [["tokens of a micro batch that fit", *fitting]])


def _unit(plans: Plans) -> Unit:
    """Return the unit for all sizes of a table."""
    large = next(iter(plans.values())).total > 2**30
    return Unit("GiB", 2**30) if large else Unit("MiB", 2**20)


def _print_table(title: str, plans: Plans, unit: Unit, rows: Sequence[Sequence[str]]) -> None:
    """Print a column for each quantization: its memory, part by part, and these rows below."""
    table = Table(title=f"{title}, in {unit.name}", box=box.SIMPLE)
    table.add_column("")
    for kind in plans:
        table.add_column("not quantized" if kind == "none" else kind, justify="right")
    for cells in zip(*(plan.rows() for plan in plans.values()), strict=True):
        label = cells[0][0].split(" (")[0]
        style = "bold" if label == "total" else ""
        table.add_row(label, *(unit.format(size) for _, size in cells), style=style)
    table.add_section()
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _count(tokens: int) -> str:
    return f"{tokens:,}" if tokens else "none"
