"""JSON schemas and function calls under the grammar, beside xgrammar and outlines in one run.

    python -m benchmarks.structured --schemas FILE --functions FILE [--peers] [--limit N]

FILE: JSON lines with a "schema" (JSONSchemaBench, arXiv:2501.10868), or with a "function"
(Berkeley Function-Calling Leaderboard). The vocabulary is Mistral Small's own, 131k tokens, and
answers are random: tokens are drawn at random among the allowed ones, and after a while the one
that promises the soonest end is taken, by the same rule for every library. The last part measures
decode speed with the embedded model.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from playground import app
from playground.backends.local import LocalBackend
from playground.engine.grammar import GrammarCompiler, Matcher, ShortestCompletion
from playground.errors import InvalidRequest
from playground.lab.extraction import json_request
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.protocol import Request, Sampling, Tool, ToolChoice, collect
from playground.settings import load_settings
from playground.structured.call_reader import CallReader
from playground.structured.fallback import Level
from playground.structured.schema import compile_schema
from playground.structured.tool_grammar import compile_tools, tool_grammar

RANDOM_TOKENS = 40
MOST_TOKENS = 600
OUTLINES_SECONDS = 30


class Walker(Protocol):
    """Follows one answer of a library."""

    def mask(self) -> Any: ...
    def take(self, token: int) -> None: ...
    def done(self) -> bool: ...


class Ours:
    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher

    def mask(self) -> Any:
        return self._matcher.allowed()

    def take(self, token: int) -> None:
        self._matcher.consume(token)

    def done(self) -> bool:
        return self._matcher.done


def large_tokenizer() -> MistralTokenizer:
    """V7-Tekken with 131,072 tokens, from the file that mistral-common ships."""
    shipped = files("mistral_common").joinpath("data/tekken_240718.json").read_bytes()
    folder = Path(tempfile.mkdtemp())
    (folder / "tekken.json").write_bytes(shipped.replace(b'"version": "v3"', b'"version": "v7"', 1))
    return MistralTokenizer(folder)


def walk(
    walker: Walker, closers: ShortestCompletion, end: int, rng: random.Random, times: list[float]
) -> list[int] | None:
    """A random answer; None if it did not come to its end. Adds the seconds of each mask."""
    tokens: list[int] = []
    while len(tokens) < MOST_TOKENS:
        if walker.done():
            return tokens
        began = time.perf_counter()
        allowed = np.asarray(walker.mask()).copy()
        times.append(time.perf_counter() - began)
        if allowed[end] and (len(tokens) >= RANDOM_TOKENS or rng.random() < 0.1):
            return tokens
        allowed[end] = False
        if not allowed.any():
            return tokens
        if len(tokens) < RANDOM_TOKENS:
            token = int(rng.choice(np.flatnonzero(allowed)))
        else:
            best = closers.best(allowed)
            assert best is not None
            token = best
        walker.take(token)
        tokens.append(token)
    return None


def valid(schema: dict[str, Any], text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return validator_for(schema, default=Draft202012Validator)(schema).is_valid(value)


class Tally:
    """What one library did with the schemas."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tried = self.compiled = self.finished = self.valid = self.cut = 0
        self.compile_s: list[float] = []
        self.mask_s: list[float] = []

    def row(self) -> str:
        share = f"{self.compiled / max(1, self.tried):.1%}"
        return (
            f"| {self.name} | {self.tried} | {share} | {spread(self.compile_s, 1e3, 'ms')} | "
            f"{spread(self.mask_s, 1e6, 'µs')} | {self.valid} of {self.finished} | {self.cut} |"
        )


def spread(values: Sequence[float], unit: float, name: str) -> str:
    if not values:
        return "-"
    ordered = sorted(values)
    high = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{statistics.median(ordered) * unit:,.1f} / {high * unit:,.0f} {name}"


def measure(
    tally: Tally,
    schemas: Sequence[dict[str, Any]],
    compile_: Callable[[dict[str, Any]], Walker],
    tokenizer: MistralTokenizer,
    closers: ShortestCompletion,
) -> None:
    end = min(tokenizer.end_ids)
    for number, schema in enumerate(schemas):
        tally.tried += 1
        began = time.perf_counter()
        try:
            walker = compile_(schema)
        except Exception:  # noqa: BLE001 - a library's refusal, whatever its type
            continue
        finally:
            tally.compile_s.append(time.perf_counter() - began)
        tally.compiled += 1
        for seed in range(2):
            try:
                rng = random.Random(number * 7 + seed)
                tokens = walk(walker, closers, end, rng, tally.mask_s)
            except Exception:  # noqa: BLE001 - a library that cannot go on has not finished
                tokens = None
            if tokens is None:
                tally.cut += 1
            else:
                tally.finished += 1
                text = b"".join(map(tokenizer.token_bytes, tokens)).decode("utf-8", "replace")
                tally.valid += valid(schema, text)
            if seed == 0:
                walker = compile_(schema)


def schemas_part(path: Path, limit: int | None, *, peers: bool) -> None:
    tokenizer = large_tokenizer()
    compiler = GrammarCompiler(tokenizer)
    compiler.compile("start: /a/")
    schemas = [row["schema"] for row in map(json.loads, path.read_text().splitlines())][:limit]
    closers = ShortestCompletion(vocabulary(tokenizer), min(tokenizer.end_ids))
    levels: Counter[Level | str] = Counter()
    slowest = 0.0
    for schema in schemas:
        began = time.perf_counter()
        try:
            levels[compile_schema(schema).level] += 1
        except InvalidRequest:
            levels["refused"] += 1
            slowest = max(slowest, time.perf_counter() - began)
    served = len(schemas) - levels["refused"]
    print(f"fallback levels, {len(schemas)} schemas: {dict(levels)}")
    print(f"served with a guarantee, strict or checked: {served / len(schemas):.1%}")
    print(f"slowest refusal: {slowest * 1e3:.0f} ms\n")

    def ours(schema: dict[str, Any]) -> Walker:
        compile_schema.__globals__["_compile"].cache_clear()
        return Ours(compiler.compile(compile_schema(schema).grammar))

    def strict(schema: dict[str, Any]) -> Walker:
        if compile_schema(schema).level != "strict":
            raise ValueError
        return ours(schema)

    print(
        "| library | schemas | compiled | compile median / p99 | mask median / p99 | valid | cut |"
    )
    print("|---|---|---|---|---|---|---|")
    measures: list[tuple[str, Callable[[dict[str, Any]], Walker]]] = [
        ("ours, strict level", strict),
        ("ours, all levels before its check", ours),
    ]
    if peers:
        measures += [("xgrammar", xgrammar_compiler(tokenizer))]
    for name, compile_ in measures:
        tally = Tally(name)
        measure(tally, schemas, compile_, tokenizer, closers)
        print(tally.row(), flush=True)
    if peers:
        tally = Tally(f"outlines-core (every 12th, {OUTLINES_SECONDS} s each)")
        outlines_part(tally, schemas[::12], tokenizer)
        print(tally.row(), flush=True)


def vocabulary(tokenizer: MistralTokenizer) -> list[bytes]:
    return [tokenizer.token_bytes(token) for token in range(tokenizer.vocabulary_size)]


def xgrammar_compiler(tokenizer: MistralTokenizer) -> Callable[[dict[str, Any]], Walker]:
    import xgrammar

    info = xgrammar.TokenizerInfo(
        vocabulary(tokenizer),
        xgrammar.VocabType.RAW,
        stop_token_ids=sorted(tokenizer.end_ids),
        vocab_size=tokenizer.vocabulary_size,
    )
    compiler = xgrammar.GrammarCompiler(info, max_threads=2, cache_enabled=False)
    bits = xgrammar.allocate_token_bitmask(1, tokenizer.vocabulary_size)

    class Xgrammar:
        def __init__(self, schema: dict[str, Any]) -> None:
            compiled = compiler.compile_json_schema(json.dumps(schema), any_whitespace=False)
            self._matcher = xgrammar.GrammarMatcher(compiled)

        def mask(self) -> Any:
            self._matcher.fill_next_token_bitmask(bits)
            packed = bits.numpy().view(np.uint8)[0]
            size = tokenizer.vocabulary_size
            return np.unpackbits(packed, bitorder="little", count=size).view(np.bool_)

        def take(self, token: int) -> None:
            if not self._matcher.accept_token(token):
                raise ValueError("refused its own token")

        def done(self) -> bool:
            return bool(self._matcher.is_terminated())

    return Xgrammar


def outlines_part(
    tally: Tally, schemas: Sequence[dict[str, Any]], tokenizer: MistralTokenizer
) -> None:
    """Each schema in a process of its own, which is ended when its time is over."""
    for number, schema in enumerate(schemas):
        results: Any = multiprocessing.get_context("fork").Queue()
        process = multiprocessing.get_context("fork").Process(
            target=_outlines, args=(schema, tokenizer, number, results)
        )
        process.start()
        tally.tried += 1
        try:
            compile_s, masks, outcome = results.get(timeout=OUTLINES_SECONDS)
        except Exception:  # noqa: BLE001 - queue.Empty: the time is over
            tally.compile_s.append(OUTLINES_SECONDS)
        else:
            tally.compile_s.append(compile_s)
            tally.mask_s += masks
            tally.compiled += outcome != "refused"
            tally.finished += outcome in ("valid", "invalid")
            tally.valid += outcome == "valid"
            tally.cut += outcome == "cut"
        process.terminate()
        process.join()


def _outlines(
    schema: dict[str, Any], tokenizer: MistralTokenizer, number: int, results: Any
) -> None:
    import outlines_core

    tokens = vocabulary(tokenizer)
    end = min(tokenizer.end_ids)
    places: dict[bytes, list[int]] = {}
    for token, text in enumerate(tokens):
        if text:
            places.setdefault(text, []).append(token)
    began = time.perf_counter()
    try:
        regex = outlines_core.json_schema.build_regex_from_schema(json.dumps(schema))
        index = outlines_core.Index(regex, outlines_core.Vocabulary(end, places))
    except Exception:  # noqa: BLE001 - its refusal
        results.put((time.perf_counter() - began, [], "refused"))
        return
    compile_s = time.perf_counter() - began
    guide = outlines_core.Guide(index)

    class Outlines:
        def mask(self) -> Any:
            allowed = np.zeros(tokenizer.vocabulary_size, dtype=np.bool_)
            allowed[guide.get_tokens()] = True
            return allowed

        def take(self, token: int) -> None:
            guide.advance(token)

        def done(self) -> bool:
            return bool(guide.is_finished())

    masks: list[float] = []
    written = walk(Outlines(), ShortestCompletion(tokens, end), end, random.Random(number), masks)
    outcome = "cut"
    if written is not None:
        answer = b"".join(map(tokenizer.token_bytes, written)).decode("utf-8", "replace")
        outcome = "valid" if valid(schema, answer) else "invalid"
    results.put((compile_s, masks, outcome))


def functions_part(path: Path, limit: int | None) -> None:
    """Random calls of random sets of functions: the arguments of every finished one are checked."""
    tokenizer = large_tokenizer()
    compiler = GrammarCompiler(tokenizer)
    closers = ShortestCompletion(vocabulary(tokenizer), min(tokenizer.end_ids))
    functions = [row["function"] for row in map(json.loads, path.read_text().splitlines())]
    rng = random.Random(0)
    modes = {
        "required": lambda _: ToolChoice("required"),
        "named": lambda names: ToolChoice("required", (rng.choice(names),)),
        "auto": lambda _: ToolChoice("auto"),
        "one at a time": lambda _: ToolChoice("required", parallel=False),
    }
    print("\n| choice | sets | refused | cut | calls | valid | streamed as whole |")
    print("|---|---|---|---|---|---|---|")
    for mode, choose in modes.items():
        seen: Counter[str] = Counter()
        for tools in _sets(functions, limit or 100, rng):
            schemas = {tool.name: tool.parameters or {} for tool in tools}
            try:
                choice = choose(list(schemas))
                grammar = tool_grammar(compile_tools(tools, choice), choice)
            except InvalidRequest:
                seen["refused"] += 1
                continue
            matcher = Ours(compiler.compile(grammar))
            if mode == "auto":
                assert tokenizer.calls_id is not None
                matcher.take(tokenizer.calls_id)
            tokens = walk(matcher, closers, min(tokenizer.end_ids), rng, [])
            seen["sets"] += 1
            if tokens is None:
                seen["cut"] += 1
                continue
            text = b"".join(map(tokenizer.token_bytes, tokens)).decode("utf-8", "replace")
            whole, pieces = CallReader(), CallReader()
            whole.push(text)
            for character in text:
                pieces.push(character)
            seen["calls"] += len(whole.calls)
            for call in whole.calls:
                seen["valid"] += valid(dict(schemas[call.name]), call.arguments)
            said = [(call.name, call.arguments) for call in whole.calls]
            seen["same"] += said == [(call.name, call.arguments) for call in pieces.calls]
        done = seen["sets"] - seen["cut"]
        print(
            f"| {mode} | {seen['sets']} | {seen['refused']} | {seen['cut']} | {seen['calls']} | "
            f"{seen['valid']} | {seen['same']} of {done} |",
            flush=True,
        )


def _sets(
    functions: Sequence[dict[str, Any]], count: int, rng: random.Random
) -> Iterator[tuple[Tool, ...]]:
    for _ in range(count):
        chosen = {each["name"]: each for each in rng.sample(list(functions), rng.randint(1, 16))}
        yield tuple(
            Tool(each["name"], each.get("description", ""), each.get("parameters"))
            for each in chosen.values()
        )


def speed_part(rounds: int = 5) -> None:
    """Decode tokens/s of extractions with the grammar ÷ without, interleaved."""
    schema = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("name", "city", "email", "title")},
        "required": ["name", "city", "email", "title"],
    }
    text = "Name: Anna; City: Oslo; Email: anna@example.org; Title: a long way home"

    async def once(backend: LocalBackend, request: Request, streams: int) -> tuple[float, float]:
        """Tokens/s while decoding, and of the requests as a whole."""

        async def one(number: int) -> tuple[int, float]:
            answer = await collect(backend.stream(replace(request, id=f"{request.id}-{number}")))
            tokens = answer.usage.completion_tokens
            return tokens, answer.timings.tokens_per_second(tokens) or 0.0

        began = time.perf_counter()
        done = await asyncio.gather(*(one(number) for number in range(streams)))
        whole = sum(tokens for tokens, _ in done) / (time.perf_counter() - began)
        return sum(rate for _, rate in done), whole

    async def run() -> None:
        with app.start_backend(load_settings()) as backend:
            held = json_request("embedded", text, schema, Sampling(temperature=0, max_tokens=512))
            free = Request("embedded", held.messages, sampling=held.sampling)
            for streams in (1, 16):
                ratios: list[tuple[float, float]] = []
                for _ in range(rounds * 3):
                    without = await once(backend, free, streams)
                    with_it = await once(backend, held, streams)
                    ratios.append((with_it[0] / without[0], with_it[1] / without[1]))
                decode, whole = (statistics.median(each) for each in zip(*ratios, strict=True))
                print(f"with the schema ÷ without, {streams} streams: decode {decode:.2f}, "
                      f"requests as a whole {whole:.2f}")  # fmt: skip

    print()
    asyncio.run(run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schemas", type=Path, help="JSON lines with a schema each")
    parser.add_argument("--functions", type=Path, help="JSON lines with a function each")
    parser.add_argument("--limit", type=int, help="use this many of them")
    parser.add_argument("--peers", action="store_true", help="xgrammar and outlines-core, too")
    given = parser.parse_args()
    if given.schemas:
        schemas_part(given.schemas, given.limit, peers=given.peers)
    if given.functions:
        functions_part(given.functions, given.limit)
    speed_part()


if __name__ == "__main__":
    main()
