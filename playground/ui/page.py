"""The page as a whole: header, tabs, and how it is mounted beside the API."""

from functools import partial
from typing import Any

import gradio as gr
from fastapi import FastAPI

from playground import __version__
from playground.services import Services
from playground.ui.chat.tab import QUIET, chat_tab
from playground.ui.compare.tab import compare_tab, model_choices
from playground.ui.finetune.tab import finetune_tab
from playground.ui.functions.tab import functions_tab
from playground.ui.json.tab import json_tab
from playground.ui.theme import ASSETS, FAVICON, STYLESHEET, theme

TITLE = "Mistral Playground"


def build_page(services: Services) -> Any:
    """Return the page; mount it with `mount_page`."""
    backend, settings, toolbox = services.backend, services.settings, services.toolbox
    studio, feedback = services.studio, services.feedback
    assert studio is not None
    assert feedback is not None
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        header = (ASSETS / "header.html").read_text(encoding="utf-8")
        gr.HTML(header.replace("{version}", __version__), elem_id="header", container=False)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Chat", id="chat"):
                chat = chat_tab(page, backend, settings, feedback)
            with gr.Tab("Functions", id="functions"):
                functions = functions_tab(page, backend, settings, toolbox)
            with gr.Tab("JSON", id="json"):
                structured = json_tab(page, backend, settings)
            with gr.Tab("Compare", id="compare"):
                compare = compare_tab(page, backend, feedback)
            with gr.Tab("Fine-tune", id="finetune"):
                finetune_tab(page, backend, studio, feedback)
        # Experts come and go: whoever opens a tab finds those that are served then.
        models = [chat, functions, structured, *(lane.model for lane in compare.lanes)]
        tabs.select(partial(model_choices, backend, len(models)), None, models, **QUIET)
        page.load(partial(model_choices, backend, len(models) - 1), None, models[1:], **QUIET)
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
