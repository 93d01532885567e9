"""Handlers return named updates; `bind` hands them to Gradio as ``{component: update}``.

A handler returns, or yields, a frozen dataclass whose fields are named like fields of a tab's
parts; a field that is left at `UNCHANGED` leaves its component alone. The handler's return
annotation says which components an event may change, so there is no list of outputs to keep in
step. Where the parts hold a mapping, a tuple or another dataclass of components, the update holds
the same.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType
from typing import Final, TypedDict, cast, get_args, get_origin, get_type_hints

import gradio as gr
from gradio.blocks import Block

from playground.access.paths import area_of_handler, room_of_handler
from playground.ui.components.errors import error_toasts
from playground.ui.components.visiting import (
    is_hidden_from_visitor,
    visitor_for,
    within_event,
)

Handler = Callable[..., object]
GradioUpdates = dict[Block, object]


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""The update that leaves a component as it is."""


END: Final = object()
"""What stands for the end of a stream of updates."""


class Bound(TypedDict):
    """The arguments of an event listener that a handler decides."""

    fn: Handler
    outputs: list[Block] | None


def bind(handler: Handler, parts: object = None) -> Bound:
    """Return ``fn`` and ``outputs`` for an event listener; ``parts`` holds the components.

    The handler may be a function, a coroutine function or an async generator. What it raises is
    shown as a toast. Raises `TypeError` for a handler that returns something else than a dataclass
    or None.
    """
    update_class = _update_class(handler)
    if update_class is None:
        return {"fn": shows_errors(handler), "outputs": None}
    outputs = list(_components(update_class, parts))

    def to_gradio(update: object) -> GradioUpdates:
        # An empty mapping would be taken for the value of a single output (Gradio 6.31).
        return dict(_pairs(update, parts)) or {outputs[0]: gr.skip()}

    return {"fn": shows_errors(handler, to_gradio), "outputs": outputs}


def shows_errors(handler: Handler, convert: Callable[[object], object] | None = None) -> Handler:
    """Wrap a handler: what it raises is a toast, and ``convert`` changes what it gives.

    The wrapper keeps the handler's signature and annotations, by which Gradio passes
    ``inputs_kwargs`` and its own arguments (`gr.Request`, `gr.EditData` and the like).
    """
    nothing = UNCHANGED if convert else None
    convert = convert or (lambda update: update)
    module = _module_of(handler)
    area, room = area_of_handler(module), room_of_handler(module)
    if inspect.isasyncgenfunction(handler):
        stream = cast("Callable[..., AsyncGenerator[object, None]]", handler)

        @functools.wraps(handler)
        async def streaming(*args: object, **kwargs: object) -> AsyncGenerator[object, None]:
            if is_hidden_from_visitor(area, room):
                yield convert(nothing)
                return
            with error_toasts():
                identity = visitor_for(area, room)
                async with aclosing(stream(*args, **kwargs)) as updates:
                    is_empty = True
                    while True:
                        with within_event(identity, room):  # each step: contexts may differ
                            update = await anext(updates, END)
                        if update is END:
                            break
                        is_empty = False
                        yield convert(update)
                if is_empty and nothing is UNCHANGED:  # Gradio 6.31 would empty all outputs
                    yield convert(nothing)

        return streaming
    if inspect.iscoroutinefunction(handler):
        coroutine = cast("Callable[..., Awaitable[object]]", handler)

        @functools.wraps(handler)
        async def awaiting(*args: object, **kwargs: object) -> object:
            if is_hidden_from_visitor(area, room):
                return convert(nothing)
            with error_toasts(), within_event(visitor_for(area, room), room):
                return convert(await coroutine(*args, **kwargs))

        return awaiting

    @functools.wraps(handler)
    def plain(*args: object, **kwargs: object) -> object:
        if is_hidden_from_visitor(area, room):
            return convert(nothing)
        with error_toasts(), within_event(visitor_for(area, room), room):
            return convert(handler(*args, **kwargs))

    return plain


def _module_of(handler: Handler) -> str:
    function = handler.func if isinstance(handler, functools.partial) else handler
    return str(function.__module__)


def _update_class(handler: Handler) -> type | None:
    function = handler.func if isinstance(handler, functools.partial) else handler
    returned = get_type_hints(function).get("return", NoneType)
    if get_origin(returned) is AsyncGenerator:
        returned = get_args(returned)[0]
    if returned is NoneType:
        return None
    if not is_dataclass(returned):
        raise TypeError(f"{function} returns {returned}, which is no dataclass of updates")
    return cast("type", returned)


def _components(hint: object, part: object) -> Iterator[Block]:
    """Components of ``part`` that an update of this type may change."""
    update_class = _dataclass_in(hint)
    if isinstance(part, Block):
        yield part
    elif isinstance(part, Mapping | tuple):
        for item in part.values() if isinstance(part, Mapping) else part:
            yield from _components(update_class, item)
    elif update_class:
        hints = get_type_hints(update_class)
        for field in fields(update_class):
            yield from _components(hints[field.name], getattr(part, field.name))
    elif is_dataclass(part):
        for field in fields(part):
            yield from _components(None, getattr(part, field.name))
    else:
        raise TypeError(f"{part!r} is neither a component nor holds components")


def _dataclass_in(hint: object) -> type | None:
    """The dataclass that a type such as ``tuple[SideUpdate, ...] | Unchanged`` speaks of."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    return next(filter(None, map(_dataclass_in, get_args(hint))), None)


def _pairs(update: object, part: object) -> Iterator[tuple[Block, object]]:
    if update is UNCHANGED:
        return
    if isinstance(part, Block):
        yield part, update
    elif isinstance(part, tuple) and isinstance(update, tuple):
        for inner, item in zip(update, part, strict=True):
            yield from _pairs(inner, item)
    else:
        for name, inner in _by_name(update).items():
            yield from _pairs(
                inner, part[name] if isinstance(part, Mapping) else getattr(part, name)
            )


def _by_name(update: object) -> Mapping[str, object]:
    if isinstance(update, Mapping):
        return update
    if is_dataclass(update):
        return {field.name: getattr(update, field.name) for field in fields(update)}
    raise TypeError(f"{update!r} names no components")
