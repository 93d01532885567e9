"""The page as a whole: header, tabs, and how it is mounted beside the API."""

from typing import Any

import gradio as gr
from fastapi import FastAPI

from playground import __version__
from playground.protocol import Backend
from playground.settings import Settings
from playground.tools import Toolbox
from playground.ui.chat import chat_tab
from playground.ui.functions import functions_tab
from playground.ui.json_mode import json_tab
from playground.ui.theme import ASSETS, FAVICON, STYLESHEET, theme

TITLE = "Mistral Playground"


def build_page(backend: Backend, settings: Settings, toolbox: Toolbox) -> Any:
    """The page over ``backend``; mount it with `mount_page`."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        header = (ASSETS / "header.html").read_text(encoding="utf-8")
        gr.HTML(header.replace("{version}", __version__), elem_id="header", container=False)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Chat", id="chat"):
                chat_tab(page, backend, settings)
            with gr.Tab("Functions", id="functions"):
                functions_tab(page, backend, settings, toolbox)
            with gr.Tab("JSON", id="json"):
                json_tab(page, backend, settings)
    return page


def mount_page(app: FastAPI, page: Any) -> FastAPI:
    """Serve ``page`` at the root of ``app``; routes that ``app`` already has keep precedence."""
    script = (ASSETS / "page.js").read_text(encoding="utf-8")
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        page,
        path="/",
        theme=theme(),
        css_paths=STYLESHEET,
        head=f"<script>{script}</script>",
        favicon_path=str(FAVICON),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        show_error=True,
    )
    return mounted
