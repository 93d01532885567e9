"""What happens in the Prompts tab: each event is a method from values to named updates.

The editor's fields arrive as keyword arguments of the names of `EditorForm`.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack
from urllib.parse import parse_qs

import gradio as gr

from playground.errors import InvalidRequest, UnknownPrompt
from playground.lab.prompt_content import PromptContent, sampling_of
from playground.lab.prompt_files import export_prompts, import_prompts
from playground.lab.prompts import Prompts, PromptVersion, diff_lines, rendered, request_of
from playground.protocol import AnswerBuilder, Request
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED
from playground.ui.components.code_panel import CodeUpdate, code_update
from playground.ui.components.downloads import download_file
from playground.ui.components.markup import render
from playground.ui.components.shown_text import as_markdown
from playground.ui.components.snippets import api_address
from playground.ui.components.status import answer_note, note, verdict
from playground.ui.prompts.editor import (
    EMPTY,
    EditorForm,
    content_of_form,
    form_of_content,
    with_used_variables,
)
from playground.ui.prompts.inputs import values_of
from playground.ui.prompts.updates import (
    CheckUpdate,
    DiffUpdate,
    ExportUpdate,
    LinkUpdate,
    ListUpdate,
    OpenUpdate,
    RunUpdate,
)


@dataclass(frozen=True, slots=True)
class PromptHandlers:
    """The handlers."""

    prompts: Prompts
    answering: Answering
    needs_key: bool

    def refresh(self, name: str | None) -> ListUpdate:
        """List the prompts that there are now; one that is gone gives way to none."""
        names = [prompt.name for prompt in self.prompts.all()]
        return ListUpdate(gr.Dropdown(names, value=name if name in names else None))

    def choose(self, name: str | None) -> OpenUpdate:
        """Open the version that a reference without a version means."""
        return self.new() if not name else self._opened(self.prompts.version(name))

    def choose_version(self, name: str, version: int) -> OpenUpdate:
        """Open another version."""
        return self._opened(self.prompts.version(name, version))

    def new(self) -> OpenUpdate:
        """Empty the editor for a new prompt."""
        nothing = gr.Dropdown([], value=None)
        names = [prompt.name for prompt in self.prompts.all()]
        return OpenUpdate(
            prompt=gr.Dropdown(names, value=None),
            version=nothing,
            about="",
            name="",
            opened="",
            tags="",
            form=EMPTY,
            problem="",
            message="",
            tried={},
            compared=nothing,
            diff="",
        )

    def restore(self, opened: str) -> OpenUpdate:
        """After a reload: the lists go with what the browser kept of the editor, which stays."""
        name, _, number = opened.rpartition("@")
        try:
            found = self._opened(self.prompts.version(name, number)) if name else None
        except UnknownPrompt:
            found = None
        if found is None:
            return OpenUpdate(prompt=self.refresh(None).prompt, opened="")
        return replace(
            found, name=UNCHANGED, opened=UNCHANGED, tags=UNCHANGED, form=UNCHANGED,
            problem=UNCHANGED, tried=UNCHANGED,
        )  # fmt: skip

    def open_elsewhere(self, name: str, version: int | None) -> LinkUpdate:
        """Open a version that another tab has only in part, and this tab."""
        return self._linked(self.prompts.version(name, version))

    def open_link(self, link: str, kept: str = "") -> LinkUpdate:
        """Open what the address of the page names: ``?prompt=NAME&version=3``. After a reload
        ``kept`` is what the editor began with: its text stays, if that is of the same prompt."""
        asked = parse_qs(link.removeprefix("?"))
        name, version = asked.get("prompt", [""])[0], asked.get("version", [None])[0]
        if not name:
            return LinkUpdate()
        if kept.rpartition("@")[0] == name:
            return LinkUpdate(tabs=gr.Tabs(selected="prompts"))
        try:
            return self._linked(self.prompts.version(name, version))
        except UnknownPrompt as error:
            names = [prompt.name for prompt in self.prompts.all()]
            return LinkUpdate(
                prompt=gr.Dropdown(names, value=None),
                about=note(f"The link leads nowhere: {error.message}.", bad=True),
                tabs=gr.Tabs(selected="prompts"),
            )

    def save(
        self, prompt: str | None, name: str, tags: str, message: str, **form: Unpack[EditorForm]
    ) -> OpenUpdate:
        """Save the editor as the next version of the prompt of this name, or as a new prompt."""
        content, labels = content_of_form(form), [tag.strip() for tag in tags.split(",")]
        wanted = name.strip() or prompt or ""
        if self.prompts.exists(wanted):
            made = self.prompts.save(wanted, content, message)
            self.prompts.change(made.prompt_id, tags=labels)
        else:
            made = self.prompts.create(wanted, content, message, labels)
        gr.Info(f"{made.name} v{made.number} is saved.")
        return replace(self._opened(made), message="", tried=UNCHANGED)

    def rename(self, prompt: str | None, version: int | None, name: str) -> OpenUpdate:
        """Give the prompt another name; versions, labels and the text in the editor stay."""
        renamed = self.prompts.change(_chosen(prompt), name=name.strip())
        number = version or renamed.versions[-1].number
        gr.Info(f"{prompt} is now {renamed.name}.")
        return replace(self.restore(f"{renamed.name}@{number}"), opened=f"{renamed.name}@{number}")

    def set_label(self, prompt: str | None, version: int | None, label: str) -> OpenUpdate:
        """Point a label at the version that is open."""
        name = _chosen(prompt)
        self.prompts.label(name, label or "", version or "latest")
        return self._labelled(name, version)

    def remove_label(self, prompt: str | None, version: int | None, label: str) -> OpenUpdate:
        """Take a label away."""
        name = _chosen(prompt)
        self.prompts.remove_label(name, label or "")
        return self._labelled(name, version)

    def delete(self, prompt: str | None) -> OpenUpdate:
        """Remove the prompt with all its versions."""
        self.prompts.delete(_chosen(prompt))
        return self.new()

    def import_file(self, path: str) -> OpenUpdate:
        """Store the prompts of a YAML file and open the first of them."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InvalidRequest("file", f"is not UTF-8: byte {error.start}") from error
        done = import_prompts(self.prompts, text)
        added = sum(len(each.added) for each in done)
        gr.Info(f"{len(done)} prompt(s) read, {added} version(s) added.")
        return self._opened(self.prompts.version(done[0].name, "latest"))

    def offer_file(self, prompt: str | None) -> ExportUpdate:
        """Offer the chosen prompt, or all of them, as YAML."""
        found = [self.prompts.find(prompt)] if prompt else self.prompts.all()
        path = download_file(f"{prompt or 'prompts'}.yaml", export_prompts(found))
        return ExportUpdate(gr.DownloadButton(value=path))

    def check(self, tried: object, **form: Unpack[EditorForm]) -> CheckUpdate:
        """Describe the variables that the texts use, and say what is wrong. Where the variables
        are those that are asked for already, their inputs stay as they are."""
        try:
            variables = with_used_variables(form["system"], form["user"], form["variables"])
            known = {**form, "variables": variables}
            content = content_of_form(EditorForm(**known))  # type: ignore[typeddict-item]
        except InvalidRequest as error:
            is_empty = not (form["system"].strip() or form["user"].strip())
            said = "" if is_empty else verdict(error.message, good=False)
            return CheckUpdate(problem=said, tried={} if is_empty and tried else UNCHANGED)
        changed = variables != form["variables"]
        return CheckUpdate(
            form={"variables": variables} if changed else UNCHANGED,
            problem="",
            tried=UNCHANGED if _asked(content) == tried else _asked(content),
        )

    def compare(self, prompt: str | None, version: int | None, compared: int | None) -> DiffUpdate:
        """Show two versions side by side."""
        if not prompt or not version or not compared:
            return DiffUpdate("")
        old, new = self.prompts.version(prompt, compared), self.prompts.version(prompt, version)
        return DiffUpdate(_diff(old, new))

    async def run(
        self, tried_on: str, *values: object, **form: Unpack[EditorForm]
    ) -> AsyncGenerator[RunUpdate, None]:
        """Ask the model what the editor holds."""
        request = await self._request(tried_on, values, form)
        builder = AnswerBuilder()
        yield RunUpdate("", "", gr.Button(visible=False), gr.Button(visible=True), request.id)
        async with aclosing(self.answering.stream(request)) as events:
            async for event in events:
                answer = builder.add(event)
                if not answer:
                    yield RunUpdate(as_markdown(builder.text))
                    continue
                calls = [f"`{call.name}({call.arguments})`" for call in answer.calls]
                text = as_markdown("\n\n".join([answer.text, *calls]))
                yield replace(self.reset_inputs(), answer=text, note=note(answer_note(answer)))

    def stop(self, running: str) -> None:
        """End the answer that is being written."""
        self.answering.cancel(running)

    def reset_inputs(self) -> RunUpdate:
        """After a failure: offer Run again."""
        return RunUpdate(run=gr.Button(visible=True), stop=gr.Button(visible=False), running="")

    async def code(
        self, page: gr.Request, tried_on: str, *values: object, **form: Unpack[EditorForm]
    ) -> CodeUpdate:
        """Open the panel with the request as code."""
        request = await self._request(tried_on, values, form)
        return code_update(request, api_address(page), needs_key=self.needs_key)

    async def _request(
        self, tried_on: str, values: tuple[object, ...], form: EditorForm
    ) -> Request:
        content = content_of_form(form)
        if len(values) != len(content.variables):
            raise InvalidRequest("variables", "have changed; look at them once more, then run")
        given = await asyncio.to_thread(values_of, content, values)
        messages = await asyncio.to_thread(rendered, content, given)
        info = await self.answering.model(tried_on)
        sampling = sampling_of(content.sampling, info.defaults)
        request = request_of(content, messages, model=info.name, sampling=sampling)
        known = await asyncio.to_thread(self.prompts.reference_of, content)
        return replace(request, prompt_version=known)

    def _labelled(self, name: str, version: int | None) -> OpenUpdate:
        opened = self._opened(self.prompts.version(name, version))
        return OpenUpdate(version=opened.version, about=opened.about, compared=opened.compared)

    def _linked(self, version: PromptVersion) -> LinkUpdate:
        opened = self._opened(version)
        fields = {each: getattr(opened, each) for each in OpenUpdate.__dataclass_fields__}
        return LinkUpdate(**fields, tabs=gr.Tabs(selected="prompts"))

    def _opened(self, version: PromptVersion) -> OpenUpdate:
        prompt = self.prompts.find(version.prompt_id)
        choices = [(_title(each), each.number) for each in prompt.versions[::-1]]
        others = [choice for choice in choices if choice[1] != version.number]
        before = [number for _, number in others if number < version.number]
        compared = before[0] if before else others[0][1] if others else None
        names = [each.name for each in self.prompts.all()]
        diff = ""
        if compared is not None:
            diff = _diff(self.prompts.version(prompt.id, compared), version)
        return OpenUpdate(
            prompt=gr.Dropdown(names, value=prompt.name),
            version=gr.Dropdown(choices, value=version.number),
            about=render("prompts/about.html", version=version),
            name=prompt.name,
            opened=version.reference,
            tags=", ".join(prompt.tags),
            form=form_of_content(version.content),
            problem="",
            tried=_asked(version.content),
            compared=gr.Dropdown(others, value=compared),
            diff=diff,
        )


def _asked(content: PromptContent) -> dict[str, object]:
    """A content with the same variables and no text, so that it changes only with them: whenever it
    does, the buttons that send the variables are wired anew, and a click meanwhile is lost. Empty
    without any, as it is at first."""
    if not content.variables:
        return {}
    variables = [variable.to_json() for variable in content.variables]
    return {"messages": [{"role": "user", "content": ""}], "variables": variables}


def _title(version: PromptVersion) -> str:
    parts = [f"v{version.number}", *version.labels, version.message.partition("\n")[0]]
    return " · ".join(part for part in parts if part)


def _diff(old: PromptVersion, new: PromptVersion) -> str:
    lines = diff_lines(old, new)
    changed = any(line.kind != "same" for line in lines)
    shown = lines if changed else []
    return render("prompts/diff.html", lines=shown, old=old.number, new=new.number)


def _chosen(prompt: str | None) -> str:
    if not prompt:
        raise InvalidRequest("prompt", "choose one, or save this one first")
    return prompt
