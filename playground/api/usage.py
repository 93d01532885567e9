"""``/v1/usage``, what answers took and cost; ``/v1/organization/usage/completions`` and
``/v1/organization/costs``, the same in OpenAI's shape. Everybody sees their own,
administrators all.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query

from playground.errors import InvalidRequest
from playground.lab.usage import UsageMeter, usage_report
from playground.lab.usage.buckets import Bucket, usage_buckets
from playground.lab.usage.objects import report_object
from playground.lab.usage.report import last_days, shown_model
from playground.settings import ModelPrice
from playground.settings.usage import PER_TOKEN
from playground.store.usage import DAY_S, GroupName, UsageSum, WantedUsage

Reply = dict[str, object]
Texts = Annotated[list[str] | None, Query()]
WIDTHS: Final = {"1m": (60, 60, 1440), "1h": (3600, 24, 168), "1d": (DAY_S, 7, 31)}
"""Seconds of a bucket, buckets on a page, and the most of them, as OpenAI has it."""
COST_BUCKETS: Final = 180
PAGE: Final = re.compile(r"page_(\d{1,12})")
BATCH: Final = "batch"
UsageGroup = Literal[
    "project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"
]
CostGroup = Literal["project_id", "user_id", "line_item", "api_key_id", "api_source"]
COLUMNS: Final[dict[str, GroupName]] = {
    "user_id": "owner", "api_key_id": "key", "model": "model", "batch": "source",
}  # fmt: skip


def usage_router(meter: UsageMeter) -> APIRouter:
    """Ours, and OpenAI's two."""
    router = APIRouter()

    @router.get("/usage")
    async def usage(
        group_by: Annotated[list[str], Query()] = ["model"],  # noqa: B006 - FastAPI copies it
        days: Annotated[int | None, Query(ge=1, le=3650)] = None,
        start_time: Annotated[int, Query(ge=0)] = 0,
        end_time: int | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    ) -> Reply:
        wanted = WantedUsage(start_time, end_time) if days is None else last_days(days)
        names = [name for each in group_by for name in each.split(",") if name]
        report = await asyncio.to_thread(usage_report, meter, names, wanted, limit)
        return dict(report_object(report))

    _add_openai(router, meter)
    return router


def _add_openai(router: APIRouter, meter: UsageMeter) -> None:
    @router.get("/organization/usage/completions")
    async def completions(
        start_time: Annotated[int, Query(ge=0)],
        end_time: int | None = None,
        bucket_width: Literal["1m", "1h", "1d"] = "1d",
        group_by: Annotated[list[UsageGroup] | None, Query(alias="group_by[]")] = None,
        models: Annotated[list[str] | None, Query(alias="models[]")] = None,
        api_key_ids: Annotated[list[str] | None, Query(alias="api_key_ids[]")] = None,
        user_ids: Annotated[list[str] | None, Query(alias="user_ids[]")] = None,
        batch: bool | None = None,
        limit: Annotated[int | None, Query(ge=1)] = None,
        page: str | None = None,
    ) -> Reply:
        width_s, usual, most = WIDTHS[bucket_width]
        shown = usual if limit is None else limit
        if shown > most:
            raise InvalidRequest("limit", f"{shown} is more than {most} for {bucket_width}")
        groups = list(dict.fromkeys(group_by or ()))
        wanted = WantedUsage(
            _start(start_time, page), end_time, _only(models, api_key_ids, user_ids)
        )
        columns = [COLUMNS[name] for name in groups if name in COLUMNS]
        if batch is not None and "source" not in columns:
            columns.append("source")
        found = await asyncio.to_thread(usage_buckets, meter, wanted, columns, width_s, shown)
        return _page(
            [(each, _usage_results(each, groups, batch=batch)) for each in found.buckets],
            found.next_start,
        )

    @router.get("/organization/costs")
    async def costs(
        start_time: Annotated[int, Query(ge=0)],
        end_time: int | None = None,
        bucket_width: Literal["1d"] = "1d",  # noqa: ARG001 - there is no other
        group_by: Annotated[list[CostGroup] | None, Query(alias="group_by[]")] = None,
        api_key_ids: Annotated[list[str] | None, Query(alias="api_key_ids[]")] = None,
        limit: Annotated[int, Query(ge=1, le=COST_BUCKETS)] = 7,
        page: str | None = None,
    ) -> Reply:
        groups = list(dict.fromkeys(group_by or ()))
        wanted = WantedUsage(_start(start_time, page), end_time, _only(None, api_key_ids, None))
        columns = [COLUMNS[name] for name in groups if name in COLUMNS]
        priced: list[GroupName] = [*columns, "model"]
        found = await asyncio.to_thread(usage_buckets, meter, wanted, priced, DAY_S, limit)
        return _page(
            [(each, _cost_results(each, groups, meter)) for each in found.buckets],
            found.next_start,
        )


def _start(start_time: int, page: str | None) -> int:
    if page is None:
        return start_time
    found = PAGE.fullmatch(page)
    if not found:
        raise InvalidRequest("page", f"{page!r} is none that was given out here")
    return int(found[1])


def _only(
    models: Sequence[str] | None, keys: Sequence[str] | None, users: Sequence[str] | None
) -> dict[GroupName, Sequence[str]]:
    only: dict[GroupName, Sequence[str]] = {}
    for name, values in (("model", models), ("key", keys), ("owner", users)):
        if values:
            only[name] = values  # type: ignore[index]
    return only


def _page(buckets: Sequence[tuple[Bucket, list[Reply]]], next_start: int | None) -> Reply:
    data = [
        {
            "object": "bucket",
            "start_time": bucket.start,
            "end_time": bucket.end,
            "results": results,
        }
        for bucket, results in buckets
    ]
    more = None if next_start is None else f"page_{next_start}"
    return {"object": "page", "data": data, "has_more": more is not None, "next_page": more}


def _usage_results(
    bucket: Bucket, groups: Sequence[UsageGroup], *, batch: bool | None
) -> list[Reply]:
    results: dict[tuple[object, ...], dict[str, int]] = {}
    for each in bucket.sums:
        is_batch = each.by.get("source") == BATCH
        if batch is not None and is_batch is not batch:
            continue
        key = tuple(is_batch if name == "batch" else _value(each, name) for name in groups)
        summed = results.setdefault(key, dict.fromkeys(("input", "cached", "output", "asked"), 0))
        summed["input"] += each.prompt_tokens
        summed["cached"] += each.cached_tokens
        summed["output"] += each.completion_tokens
        summed["asked"] += each.answers
    none = dict.fromkeys(("project_id", "user_id", "api_key_id", "model", "batch", "service_tier"))
    return [
        {
            "object": "organization.usage.completions.result",
            "input_tokens": summed["input"],
            "input_cached_tokens": summed["cached"],
            "input_uncached_tokens": summed["input"] - summed["cached"],
            "output_tokens": summed["output"],
            "input_audio_tokens": 0,
            "output_audio_tokens": 0,
            "num_model_requests": summed["asked"],
            **none,
            **dict(zip(groups, key, strict=True)),
        }
        for key, summed in results.items()
    ]


def _cost_results(bucket: Bucket, groups: Sequence[CostGroup], meter: UsageMeter) -> list[Reply]:
    results: dict[tuple[object, ...], tuple[float, int]] = {}
    for each in bucket.sums:
        model = str(each.by["model"])
        for item, quantity, usd in _line_items(each, meter.settings.price_of(model)):
            name = f"{shown_model(model)}, {item}"
            key = tuple(name if g == "line_item" else _value(each, g) for g in groups)
            cost, tokens = results.get(key, (0.0, 0))
            results[key] = (cost + usd, tokens + quantity)
    none = dict.fromkeys(("project_id", "user_id", "api_key_id", "line_item", "quantity"))
    by_item = "line_item" in groups
    return [
        {
            "object": "organization.costs.result",
            "amount": {"value": cost, "currency": "usd"},
            **none,
            **dict(zip(groups, key, strict=True)),
            **({"quantity": tokens, "quantity_unit": "tokens"} if by_item else {}),
        }
        for key, (cost, tokens) in results.items()
    ]


def _line_items(summed: UsageSum, price: ModelPrice) -> list[tuple[str, int, float]]:
    """What is paid for, with its tokens and its USD."""
    fresh, cached = summed.prompt_tokens - summed.cached_tokens, summed.cached_tokens
    items = (
        ("input_tokens", fresh, price.input),
        ("cached_input_tokens", cached, price.cost_usd(1, 0, 1) / PER_TOKEN),
        ("output_tokens", summed.completion_tokens, price.output),
    )
    return [(name, count, count * usd * PER_TOKEN) for name, count, usd in items if count]


def _value(summed: UsageSum, name: str) -> object:
    """The group's value; null for what is not told apart here."""
    column = COLUMNS.get(name)
    if column == "model":
        return shown_model(str(summed.by[column])) or None
    return summed.by.get(column) or None if column else None
