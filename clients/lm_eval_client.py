"""lm-eval: tasks of its kinds, by the API for completions and the one for chat."""

import json
import tempfile
from pathlib import Path
from typing import Any

from lm_eval import evaluator, tasks

from clients import cases
from clients.scenarios import Client, base_url

CLIENT = Client("lm-eval", "lm_eval")
scenario = CLIENT.scenario
FOLDER = Path(tempfile.mkdtemp())
FILES = Path(__file__).parent.parent / "playground" / "models" / "embedded"
TOKENIZER = {"tokenizer_backend": "huggingface", "tokenizer": str(FILES)}
ROWS = [
    {"question": "The capital of France is", "choices": ["Paris", "Oslo"], "answer": number % 2}
    for number in range(4)
]
COMMON = f"""\
dataset_path: json
dataset_kwargs: {{data_files: {{test: {FOLDER}/rows.jsonl}}}}
test_split: test
doc_to_text: "{{{{question}}}}"
"""
TASKS = {
    "generated": """\
output_type: generate_until
doc_to_target: "{{choices[answer]}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8}
metric_list: [{metric: exact_match}]
""",
    "chosen": """\
output_type: multiple_choice
doc_to_target: answer
doc_to_choice: choices
metric_list: [{metric: acc}]
""",
    "likely": """\
output_type: loglikelihood
doc_to_target: " {{choices[answer]}}"
metric_list: [{metric: perplexity}]
""",
    "rolling": """\
output_type: loglikelihood_rolling
doc_to_target: "{{question}}"
metric_list: [{metric: word_perplexity}]
""",
}
(FOLDER / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
for name, task in TASKS.items():
    (FOLDER / f"{name}.yaml").write_text(f"task: {name}\n{COMMON}{task}")
MANAGER = tasks.TaskManager(include_path=str(FOLDER), include_defaults=False)


def evaluate(task: str, kind: str, path: str, **options: Any) -> dict[str, Any]:
    """Run a task; returns its results."""
    arguments = {
        "model": cases.MODEL,
        "base_url": f"{base_url()}/v1/{path}",
        "max_retries": 1,
        "max_length": 512,
        **(TOKENIZER if kind == "local-completions" else {"tokenizer_backend": None}),
    }
    done: Any = evaluator.simple_evaluate(
        kind,
        model_args=arguments,
        tasks=[task],
        task_manager=MANAGER,
        bootstrap_iters=0,
        verbosity="ERROR",
        **options,
    )
    return dict(done["results"][task])


@scenario("generate_until: completions")
def _() -> None:
    assert "exact_match,none" in evaluate("generated", "local-completions", "completions")


@scenario("generate_until: chat")
def _() -> None:
    found = evaluate(
        "generated", "local-chat-completions", "chat/completions", apply_chat_template=True
    )
    assert "exact_match,none" in found


@scenario("multiple_choice")
def _() -> None:
    found = evaluate("chosen", "local-completions", "completions")
    assert found["acc,none"] == 0.5


@scenario("loglikelihood")
def _() -> None:
    assert evaluate("likely", "local-completions", "completions")["perplexity,none"] > 1


@scenario("loglikelihood_rolling")
def _() -> None:
    assert evaluate("rolling", "local-completions", "completions")["word_perplexity,none"] > 1


if __name__ == "__main__":
    CLIENT.run()
