"""What is done with a form: each a function that returns a cell, or raises what went wrong."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel

from benchmarks.forms.folders import Made
from finetune.data.dataset import TrainingData
from finetune.data.examples import to_examples
from finetune.data.training_row import Conversation
from finetune.presets import recipe_for
from finetune.training.hooks import Log, TrainingHooks
from finetune.training.train import train
from playground.backends.local import LocalBackend
from playground.errors import PlaygroundError
from playground.models.export.export import export
from playground.models.export.request import TARGETS, Target, make_request
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.plan import plan
from playground.models.spec import ModelSpec
from playground.protocol import (
    Answer,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
    collect,
)
from tests.playground.models.conversion.stored import logits
from tests.playground.models.export.greedy import agreement

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"enum": [1, 2, 30]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOL = Tool("weather", "Say the weather.", SCHEMA)
SEEDS = range(5)
QUESTIONS = ("Hi", "What is the weather?", "Tell me about Rome.", "Who are you?")
ANSWER = "It is warm and dry in Rome, and the shops are open."
NEW_TOKENS = 16
EPOCHS = 40.0


@dataclass(frozen=True, slots=True)
class Use:
    """A form in use: what was made, what was loaded of it, and a folder for the rest."""

    made: Made
    loaded: LoadedModel
    backend: LocalBackend
    home: Path


def planned(made: Made, loaded: LoadedModel, home: Path) -> str:
    """Compare the plan's weights with the bytes of the loaded ones."""
    needed = plan(ModelSpec(str(made.source), precision="fp32", device="cpu"), home=home)
    actual = sum(each.numel() * each.itemsize for each in loaded.model.parameters())
    stored = f" of {needed.stored_as}" if needed.stored_as else ""
    return f"{needed.quantization}{stored}, loaded ÷ plan {actual / needed.weights:.2f}"


def loaded_as(made: Made, loaded: LoadedModel) -> str:
    """Compare the logits with those of what the file stands for."""
    wanted = logits(made.meant)
    error = float((logits(loaded.model) - wanted).norm() / wanted.norm())
    return f"error {error:.1e}"


def served(use: Use) -> str:
    """Compare greedy answers of the engine with the loaded model's own."""
    ours = [_ids(use, question) for question in QUESTIONS]
    model, prompts = use.loaded.model, _prompts(use)
    theirs = _greedy(model, prompts)
    cell = f"{agreement(ours, theirs):.0%}"
    for prompt, got, own in zip(prompts, ours, theirs, strict=True):
        if got != own:
            cell += f" ({_apart(got, own, _logits_of(model, prompt, own))})"
    return cell


def tools(use: Use) -> str:
    """Count the required calls that hold their schema."""
    count = 0
    for seed in SEEDS:
        choice = ToolChoice("required")
        answer = _ask(use, QUESTIONS[0], seed, tools=(TOOL,), tool_choice=choice)
        arguments = [json.loads(call.arguments) for call in answer.calls if call.name == TOOL.name]
        count += bool(arguments) and all(each["days"] in (1, 2, 30) for each in arguments)
    return f"{count} of {len(SEEDS)}"


def json_answers(use: Use) -> str:
    """Count the strict answers that hold their schema."""
    form, count = ResponseFormat(SCHEMA, strict=True), 0
    for seed in SEEDS:
        answer = _ask(use, QUESTIONS[0], seed, response_format=form)
        count += json.loads(answer.text)["days"] in (1, 2, 30)
    return f"{count} of {len(SEEDS)}"


def trained(use: Use) -> tuple[str, Path]:
    """Train an adapter on one answer; return the first and the last loss, and its folder."""
    source = str(use.made.source)
    recipe = replace(
        recipe_for(source, use.loaded.spec.quantization, home=use.home),
        num_train_epochs=EPOCHS,
        eval_fraction=0.0,
        learning_rate=5e-3,
        optim="adamw_torch",
    )
    messages = (Message("user", QUESTIONS[0]), Message("assistant", ANSWER))
    rows = to_examples(Conversation(messages, (), 1), use.loaded.tokenizer)
    losses: list[float] = []

    def on_log(log: Log) -> None:
        if isinstance(loss := log.get("loss"), float):
            losses.append(loss)

    data = TrainingData.of(rows)
    hooks = TrainingHooks(on_log=on_log)
    made = train(recipe, use.loaded, data, use.home / "run", "rome", hooks)
    if made.folder is None:
        raise AssertionError("no adapter was written")
    return f"loss {losses[0]:.1f} to {losses[-1]:.2f}", made.folder


def exported(use: Use, adapter: Path) -> tuple[str, dict[Target, Path]]:
    """Export in every form; return those that were written, with their folders."""
    written: dict[Target, Path] = {}
    for target in TARGETS:
        request = make_request(adapter, target, use.home, out=use.home / f"out-{target}")
        try:
            written[target] = export(request).folder
        except PlaygroundError as error:
            if "quantized" not in str(error):
                raise
    return ("all" if len(written) == len(TARGETS) else ", ".join(written)), written


def loaded_back(use: Use, adapter: Path, written: dict[Target, Path]) -> str:
    """Compare greedy answers of each export, by its own reader, with PEFT's on the base. Where they
    part: two tokens that are nearer to each other than the logits are off are a tie."""
    base = use.loaded.model
    tuned = PeftModel.from_pretrained(base, str(adapter)).eval()
    prompts = _prompts(use)
    wanted = _greedy(tuned, prompts)
    expected = [_logits_of(tuned, *each) for each in zip(prompts, wanted, strict=True)]
    tuned.unload()
    cells = [f"without {agreement(_greedy(base, prompts), wanted):.0%}"]
    use.backend.load_adapter(adapter, "rome")
    ours = [_ids(use, question, "rome") for question in QUESTIONS]
    cells.append(f"engine {agreement(ours, wanted):.0%}")
    for target in ("peft", "merged", "gguf"):
        if target not in written:
            continue
        model = _read(target, written[target], base)
        found = _greedy(model, prompts)
        cells.append(f"{target} {agreement(found, wanted):.0%}")
        for prompt, got, asked, was in zip(prompts, found, wanted, expected, strict=True):
            if got != asked:
                error = float((_logits_of(model, prompt, asked) - was).abs().max())
                cells[-1] += f" ({_apart(got, asked, was)}, logits off by {error:.4f})"
        if isinstance(model, PeftModel):
            model.unload()
    return ", ".join(cells)


def open_use(made: Made, home: Path) -> LoadedModel:
    """Load a form as the playground does."""
    return load(ModelSpec(str(made.source), precision="fp32", device="cpu"), home=home)


def _read(target: Target, folder: Path, base: PreTrainedModel) -> PreTrainedModel | PeftModel:
    if target == "peft":
        return PeftModel.from_pretrained(base, str(folder)).eval()
    options = {"gguf_file": "model.gguf"} if target == "gguf" else {}
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, **options
    )
    return model.eval()


def _prompts(use: Use) -> list[list[int]]:
    return [use.loaded.tokenizer.render([Message("user", question)]) for question in QUESTIONS]


def _greedy(
    model: PreTrainedModel | PeftModel, prompts: Sequence[Sequence[int]]
) -> list[list[int]]:
    answers = []
    for prompt in prompts:
        ids = list(prompt)
        for _ in range(NEW_TOKENS):
            with torch.inference_mode():
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        answers.append(ids[len(prompt) :])
    return answers


def _logits_of(
    model: PreTrainedModel | PeftModel, prompt: Sequence[int], answer: Sequence[int]
) -> torch.Tensor:
    """The logits that each token of an answer is taken from: [tokens, vocabulary]."""
    with torch.inference_mode():
        logits: torch.Tensor = model(input_ids=torch.tensor([[*prompt, *answer]])).logits
    return logits[0, len(prompt) - 1 : -1]


def _apart(ours: Sequence[int], theirs: Sequence[int], expected: torch.Tensor) -> str:
    """How near the two likeliest tokens are where answers part."""
    place = next(at for at, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    first, second = expected[place].topk(2).values.tolist()
    return f"two tokens {first - second:.4f} apart"


def _ids(use: Use, question: str, model: str | None = None) -> list[int]:
    sampling = Sampling(temperature=0, max_tokens=NEW_TOKENS, logprobs=0, ignore_eos=True)
    name = model or use.backend.default_model.name
    request = Request(name, (Message("user", question),), sampling=sampling)
    answer = asyncio.run(collect(use.backend.stream(request)))
    return [token.token_id for token in answer.logprobs]


def _ask(use: Use, question: str, seed: int, **wanted: object) -> Answer:
    sampling = Sampling(temperature=1, max_tokens=200, seed=seed)
    name = use.backend.default_model.name
    request = Request(name, (Message("user", question),), sampling=sampling)
    request = replace(request, **wanted)  # type: ignore[arg-type]
    return asyncio.run(collect(use.backend.stream(request)))
