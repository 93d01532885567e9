"""Links on the Admin tab without a browser, and by the command."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gradio as gr
import pytest
from starlette.requests import Request
from typer.testing import CliRunner

from playground.access import DemoLinks
from playground.access.links import token_of
from playground.backends.scripted import ScriptedBackend
from playground.cli import cli
from playground.errors import InvalidRequest
from playground.protocol import ModelInfo
from playground.store.links import Links
from playground.ui.admin.links import LinkHandlers, LinksUpdate
from playground.ui.components.answering import Answering

HEADERS = [(b"x-gradio-server", b"https://demo.example/playground")]
PAGE = gr.Request(Request({"type": "http", "headers": HEADERS, "path": "/", "query_string": b""}))


@pytest.fixture
def handlers(tmp_path: Path) -> Iterator[LinkHandlers]:
    models = [ModelInfo("<b>law", 100)]
    answering = Answering(ScriptedBackend(lambda request: ["x"], models=tuple(models)), models)
    with closing(DemoLinks(Links(tmp_path))) as links:
        yield LinkHandlers(links, answering)


def address(update: LinksUpdate) -> object:
    assert isinstance(update.address, gr.Textbox)
    return update.address.value


async def test_a_link_is_created_and_revoked(handlers: LinkHandlers) -> None:
    assert "No links yet." in (await handlers.refresh()).links
    made = handlers.create("chat", ["<b>law"], " ", 7, 100, PAGE)
    (link,) = handlers.links.all()
    assert address(made) == f"https://demo.example/playground/d/{token_of(link)}/"
    assert (link.system_prompt, link.max_answers) == (None, 100)
    assert "&lt;b&gt;law" in made.links
    assert "0 of 100" in made.links
    after = handlers.revoke(link.id)
    assert address(after) == ""
    assert "revoked" in after.links


def test_a_wrong_link_is_said(handlers: LinkHandlers) -> None:
    with pytest.raises(InvalidRequest, match="days"):
        handlers.create("chat", ["law"], "", None, None, PAGE)
    with pytest.raises(InvalidRequest, match="link"):
        handlers.revoke(None)


@pytest.mark.slow
def test_the_command_makes_and_revokes_links(tmp_path: Path) -> None:
    run, home = CliRunner(), ("--home", str(tmp_path))
    create = ("links", "create", *home, "--model", "law", "--answers", "5", "--system-prompt", "Hi")
    made = run.invoke(cli, [*create, "--url", "https://demo.example/p/"])
    with closing(DemoLinks(Links(tmp_path))) as links:
        (link,) = links.all()
        assert made.stdout == f"https://demo.example/p/d/{token_of(link)}/\n"
        assert (link.models, link.max_answers, link.system_prompt) == (("law",), 5, "Hi")
        assert (
            f"{link.id}  http://127.0.0.1:7860/d/"
            in run.invoke(cli, ["links", "list", *home]).stdout
        )
        moved = ("--port", "8000", "--root-path", "/play")
        assert (
            f"{link.id}  http://127.0.0.1:8000/play/d/"
            in run.invoke(cli, [*moved, "links", "list", *home]).stdout
        )
        assert run.invoke(cli, ["links", "revoke", link.id, *home]).exit_code == 0
        assert links.all()[0].state == "revoked"
    wrong = run.invoke(cli, [*create, "--tab", "files"])
    assert isinstance(wrong.exception, InvalidRequest)
