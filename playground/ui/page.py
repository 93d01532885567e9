"""The page as a whole: header, tabs, and how it is mounted beside the API."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr
from fastapi import FastAPI
from starlette.routing import Mount

from playground import __version__
from playground.access import current_identity
from playground.protocol import ModelInfo
from playground.services import Services
from playground.ui.admin.tab import admin_tab
from playground.ui.chat.tab import chat_tab
from playground.ui.compare.tab import compare_tab
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.code_panel import code_panel
from playground.ui.components.events import UNQUEUED
from playground.ui.components.loading import loading_notice
from playground.ui.components.markup import render
from playground.ui.components.visiting import ASKS_NOBODY
from playground.ui.faults import answer_faults
from playground.ui.finetune.tab import finetune_tab
from playground.ui.functions.tab import functions_tab
from playground.ui.gradio_idling import idle_cheaply, inspect_once
from playground.ui.gradio_script import serve_changed_scripts
from playground.ui.history.recording import Recorder
from playground.ui.history.sidebar import history_sidebar
from playground.ui.json.tab import json_tab
from playground.ui.presence import Pages
from playground.ui.prompts.tab import prompts_tab
from playground.ui.sweeps.tab import evaluate_tab
from playground.ui.theme import ASSETS, FAVICON, STYLESHEET, theme
from playground.ui.usage.events import UsageHandlers
from playground.ui.usage.tab import usage_tab
from playground.ui.visitor import VisitorParts, show_visitor, tab_id

TITLE = "Mistral Playground"
SCRIPTS = (
    "storage.js",
    "page.js",
    "text.js",
    "keep.js",
    "errors.js",
    "follow.js",
    "slash.js",
    "tokens.js",
    "keys.js",
)
ROOMS = ("chat", "functions", "json", "prompts", "compare", "sweeps", "finetune", "usage", "admin")
"""The tabs, by the packages of their handlers."""


def build_page(services: Services, models: Sequence[ModelInfo]) -> gr.Blocks:
    """Build the page over ``models``, which are those served now; mount it with `mount_page`.

    Raises `ValueError` for services without a studio, feedback or prompts.
    """
    studio, feedback, toolbox = services.studio, services.feedback, services.toolbox
    prompts = services.prompts
    if studio is None or feedback is None or prompts is None:
        raise ValueError("the page needs a studio, and places for feedback and prompts")
    inspect_once()
    answering = Answering(services.backend, models)
    swept: tuple[gr.Dropdown, ...] = ()
    needs_key, store = services.access.needs_key, services.conversations
    recorder = Recorder(store)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        setattr(page, ASKS_NOBODY, not services.access.needs_key)
        gr.HTML(render("header.html", version=__version__), elem_id="header", container=False)
        name = gr.HTML(visible=services.access.asks, elem_id="visitor", container=False)
        banner = gr.HTML(visible=False, elem_id="banner", container=False)
        loading = loading_notice(page, services.backend)
        code = code_panel()
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Chat", id="chat", elem_id=tab_id("chat")):
                chat, restored = chat_tab(
                    page,
                    answering,
                    feedback,
                    prompts,
                    needs_key=needs_key,
                    recorder=recorder,
                    code=code,
                )
            with gr.Tab("Functions", id="functions", elem_id=tab_id("functions")):
                functions = functions_tab(
                    page, answering, toolbox, needs_key=needs_key, recorder=recorder, code=code
                )
            with gr.Tab("JSON", id="json", elem_id=tab_id("json")):
                structured = json_tab(page, answering, needs_key=needs_key, code=code)
            with gr.Tab("Prompts", id="prompts", elem_id=tab_id("prompts")):
                tried = prompts_tab(
                    page,
                    answering,
                    prompts,
                    tabs,
                    chat.prompt_panel,
                    needs_key=needs_key,
                    code=code,
                )
            with gr.Tab("Compare", id="compare", elem_id=tab_id("compare")):
                lanes = compare_tab(
                    page,
                    answering,
                    feedback,
                    prompts,
                    needs_key=needs_key,
                    recorder=recorder,
                    code=code,
                )
            if services.sweeps:
                with gr.Tab("Evaluate", id="evaluate", elem_id=tab_id("sweeps")):
                    swept = (evaluate_tab(page, answering, services.sweeps, feedback),)
            with gr.Tab("Fine-tune", id="finetune", elem_id=tab_id("finetune")):
                finetune_tab(page, answering, studio, feedback)
            if services.usage:
                with gr.Tab("Usage", id="usage", elem_id=tab_id("usage")) as used:
                    people = services.access.people
                    usage_tab(used, UsageHandlers(services.usage, people, store))
            if services.access.asks and services.access.people:
                with gr.Tab("Admin", id="admin", elem_id=tab_id("admin")) as admin:
                    admin_tab(admin, services, services.access.people, answering)
        if services.access.asks:
            parts = VisitorParts(name, tabs, banner)
            show_visitor(page, parts, ROOMS, services.settings.access)
        if store is not None:
            history_sidebar(page, store, answering, tabs, chat, functions, restored)
        # Adapters come and go: each opened tab lists those that are served at that moment. On load
        # the Chat tab restores its own choice.
        others = (functions.model, structured, tried, *lanes, *swept)
        everywhere = (chat.model, *others)
        for event, models in (
            (tabs.select, everywhere),
            (loading.tick, everywhere),
            (page.load, others),
        ):
            choices = ModelChoices(answering, models.index(lanes[0]))
            event(**bind(choices.refresh, ModelsUpdate(models)), inputs=list(models), **UNQUEUED)
    return page


@dataclass(frozen=True, slots=True)
class ModelsUpdate:
    """The choices of models of several dropdowns."""

    models: tuple[gr.Dropdown, ...]


@dataclass(frozen=True, slots=True)
class ModelChoices:
    """Keeps that many dropdowns up to date; those of Compare's lanes begin at ``lanes_from``."""

    answering: Answering
    lanes_from: int = 0

    async def refresh(self, *chosen: str | list[str] | None) -> ModelsUpdate:
        """List the models that are served now; a chosen one that is gone gives way to the first,
        and is dropped where several are chosen. By a link to a comparison each lane has its own."""
        names = await self.answering.model_names()
        if (link := current_identity().link) and len(link.models) > 1:
            places = range(-self.lanes_from, len(chosen) - self.lanes_from)
            return ModelsUpdate(
                tuple(gr.Dropdown(names, value=names[place % len(names)]) for place in places)
            )
        return ModelsUpdate(tuple(_choices(names, each) for each in chosen))


def _choices(names: list[str], chosen: str | list[str] | None) -> gr.Dropdown:
    if isinstance(chosen, list):
        return gr.Dropdown(names, value=[name for name in chosen if name in names])
    return gr.Dropdown(names) if chosen in names else gr.Dropdown(names, value=names[0])


def mount_page(app: FastAPI, page: gr.Blocks) -> FastAPI:
    """Serve ``page`` at the root of ``app``; routes that ``app`` already has keep precedence."""
    serve_changed_scripts(app)
    scripts = [(ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS]
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        page,
        path="/",
        theme=theme(),
        css_paths=STYLESHEET,
        head="".join(f"<script>{script}</script>" for script in scripts),
        favicon_path=str(FAVICON),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        show_error=True,
    )
    # Gradio (6.31) would put it in the place of the path that each request says.
    page.custom_mount_path = ""
    idle_cheaply(page)
    for route in mounted.routes:
        if isinstance(route, Mount) and isinstance(route.app, FastAPI):
            answer_faults(route.app, page)
            route.app.add_middleware(Pages)
    return mounted
