"""Tools that run: functions, the built-in ones, documents, MCP servers."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from playground.errors import InvalidSettings, ToolFailed
from playground.protocol import ToolCall
from playground.tools import (
    RunnableTool,
    Toolbox,
    ToolResult,
    built_in_tools,
    function_tool,
    functions_of_file,
)
from playground.tools.calculator import evaluate
from playground.tools.mcp_servers import McpServers

SERVER = Path(__file__).with_name("mcp_server.py")


def call(name: str, **arguments: object) -> ToolCall:
    return ToolCall("abcdefghi", name, json.dumps(arguments))


async def result(tool: RunnableTool, **arguments: object) -> ToolResult:
    return await Toolbox([tool]).run(call(tool.tool.name, **arguments))


@dataclass
class Seat:
    row: int
    window: bool = False


def book(
    title: str,
    seats: list[Seat],
    day: Literal["today", "tomorrow"] = "today",
    price: Annotated[float, Field(ge=0, description="in euros")] = 10.0,
) -> dict[str, object]:
    """Book seats for a show.

    Args:
        title: what is shown
        seats: where to sit
    """
    return {"title": title, "row": seats[0].row, "day": day, "price": price}


def test_a_functions_schema_comes_from_its_hints_and_its_docstring() -> None:
    tool = function_tool(book).tool
    assert (tool.name, tool.description) == ("book", "Book seats for a show.")
    assert tool.parameters is not None
    fields = tool.parameters["properties"]
    assert fields["title"] == {"type": "string", "description": "what is shown"}
    assert fields["day"]["enum"] == ["today", "tomorrow"]
    assert fields["price"]["minimum"] == 0
    assert fields["price"]["description"] == "in euros"
    assert tool.parameters["required"] == ["title", "seats"]


async def test_arguments_arrive_as_the_types_of_the_hints() -> None:
    ran = await result(function_tool(book), title="Faust", seats=[{"row": 3}])
    assert json.loads(ran.text) == {"title": "Faust", "row": 3, "day": "today", "price": 10.0}
    assert not ran.failed


async def test_wrong_arguments_are_a_result_that_names_the_place() -> None:
    ran = await result(function_tool(book), title="Faust", seats=[{"row": "front"}])
    assert ran.failed
    assert "seats.0.row" in ran.text


def test_a_function_whose_parameters_have_no_names_is_refused() -> None:
    def sums(*numbers: float) -> float:
        return sum(numbers)

    with pytest.raises(InvalidSettings, match="'numbers' cannot be given by name"):
        function_tool(sums)


async def test_a_tool_that_takes_too_long_is_given_up() -> None:
    async def sleeper() -> str:
        await asyncio.Event().wait()
        return ""

    ran = await result(function_tool(sleeper, time_limit_s=0.05))
    assert ran.failed
    assert "no result within 0.05 seconds" in ran.text


async def test_what_a_tool_breaks_with_is_not_shown_to_the_model() -> None:
    def leaks() -> str:
        raise RuntimeError("password=hunter2")

    ran = await result(function_tool(leaks))
    assert ran.failed
    assert "hunter2" not in ran.text


async def test_a_long_result_is_cut_and_says_so() -> None:
    def long() -> str:
        return "x" * 1_000_000

    ran = await result(function_tool(long))
    assert len(ran.text) < 21_000
    assert ran.text.endswith("(cut: 1,000,000 characters)")


async def test_a_call_of_a_tool_that_is_not_there_fails_as_a_result() -> None:
    ran = await Toolbox().run(call("nothing"))
    assert ran.failed
    assert "no tool 'nothing'" in ran.text


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidSettings, match="two tools are called 'book'"):
        Toolbox([function_tool(book), function_tool(book)])


def test_a_file_gives_its_public_functions(tmp_path: Path) -> None:
    path = tmp_path / "shop.py"
    path.write_text("import os\ndef price(name: str) -> int:\n    return 3\ndef _hidden(): ...\n")
    assert [each.tool.name for each in functions_of_file(path)] == ["price"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("x = 1\n", "no public function"), ("def f(:\n", "SyntaxError"), ("1/0\n", "ZeroDivision")],
)
def test_a_file_without_functions_says_why(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(InvalidSettings, match=problem):
        functions_of_file(path)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 * (3 + 4)", 14),
        ("2 ^ 10", 1024),
        ("-7 // 2", -4),
        ("sqrt(16) + max(1, 2)", 6),
        ("10 ÷ 4 × 2", 5),
        ("1e3", 1000),
    ],
)
def test_arithmetic(expression: str, value: float) -> None:
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "().__class__",
        "open('x')",
        "[1 for _ in ()]",
        "9**9**9",
        "2 ** 1000000",
        "1/0",
        "(-1) ** 0.5",
        "True + 1",
        "'a' * 9",
        "1 +",
        "(" * 150,
        "",
    ],
)
def test_what_is_no_arithmetic_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"expression|known|large|zero|finite"):
        evaluate(expression)


@pytest.mark.slow
@given(st.text(max_size=60))
def test_any_text_is_computed_or_refused(expression: str) -> None:
    with suppress(ValueError):
        assert isinstance(evaluate(expression), int | float)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "wanted"),
    [
        ("get_weather", {"city": "paris"}, '"note": "demo data"'),
        ("get_time", {"timezone": "Europe/Paris"}, "CE"),
        ("calculate", {"expression": "0.1 + 0.2"}, "0.3"),
        ("convert_units", {"value": 10, "from_unit": "mile", "to_unit": "km"}, "16.0934 km"),
        ("convert_units", {"value": 0, "from_unit": "degC", "to_unit": "degF"}, "32 degF"),
    ],
)
async def test_the_built_in_tools(name: str, arguments: dict[str, object], wanted: str) -> None:
    ran = await Toolbox(built_in_tools()).run(ToolCall("abcdefghi", name, json.dumps(arguments)))
    assert not ran.failed
    assert wanted in ran.text


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get_weather", {"city": "Atlantis"}),
        ("get_time", {"timezone": "../../etc/passwd"}),
        ("get_time", {"timezone": ""}),
        ("convert_units", {"value": 1, "from_unit": "kg", "to_unit": "mile"}),
        ("convert_units", {"value": 1, "from_unit": "__class__", "to_unit": "m"}),
        ("convert_units", {"value": 1, "from_unit": "m**9**9", "to_unit": "m"}),
    ],
)
async def test_built_in_tools_say_what_is_wrong(name: str, arguments: dict[str, object]) -> None:
    ran = await Toolbox(built_in_tools()).run(ToolCall("abcdefghi", name, json.dumps(arguments)))
    assert ran.failed
    assert "unexpectedly" not in ran.text


async def test_documents_are_searched_and_followed_as_they_change(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a.md").write_text("The harbour opens at six.\n\nTea is served at five.")
    (tmp_path / "b.bin").write_text("harbour harbour")
    tool = next(each for each in built_in_tools(tmp_path) if each.tool.name == "search_documents")
    found = json.loads((await result(tool, query="When does the harbour open?")).text)
    assert found == [{"file": "inside/a.md", "text": "The harbour opens at six."}]
    (tmp_path / "c.txt").write_text("A lighthouse.")
    assert "c.txt" in (await result(tool, query="lighthouse")).text


async def test_documents_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the secret word")
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path)
    tool = next(each for each in built_in_tools(folder) if each.tool.name == "search_documents")
    assert (await result(tool, query='secret" OR text:*')).text == "[]"


@pytest.fixture(params=["stdio", "http"])
def shop(request: pytest.FixtureRequest) -> Iterator[McpServers]:
    """The tools of an MCP server in a process of its own."""
    if request.param == "stdio":
        servers = McpServers([f"shop={sys.executable} {SERVER}"])
        yield servers
        servers.close()
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, str(SERVER), str(port)]) as process:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                httpx.get(f"http://127.0.0.1:{port}/")
                break
            except httpx.TransportError:
                continue
        servers = McpServers([f"shop=http://127.0.0.1:{port}/mcp"])
        yield servers
        servers.close()
        process.terminate()


@pytest.mark.slow
async def test_the_tools_of_an_mcp_server_run(shop: McpServers) -> None:
    (tool,) = shop.tools
    assert tool.tool.name == "price"
    assert tool.tool.description == "Get the price of a product."
    assert tool.source == "MCP server shop"
    assert "30" in (await result(tool, product="lamp")).text
    failed = await result(tool, product="nothing")
    assert failed.failed


@pytest.mark.slow
async def test_a_call_after_its_server_ended_fails_as_a_result() -> None:
    servers = McpServers([f"shop={sys.executable} {SERVER}"])
    (tool,) = servers.tools
    servers.close()
    with pytest.raises(ToolFailed, match="has ended"):
        await tool.run({"product": "lamp"})


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("shop", "is not NAME=URL or NAME=COMMAND"),
        ("shop=/no/such/program", "shop: "),
        (f"shop={sys.executable} -c pass", "shop: "),
        ("shop=http://127.0.0.1:9/mcp", "shop: "),
    ],
)
def test_an_mcp_server_that_is_none_is_named(address: str, problem: str) -> None:
    with pytest.raises(InvalidSettings, match=problem):
        McpServers([address])
