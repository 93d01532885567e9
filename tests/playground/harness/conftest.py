"""Tasks of three kinds for lm-eval, with their rows in files beside them."""

import json
from pathlib import Path

import pytest

CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Spain": "Madrid", "Norway": "Oslo",
    "Greece": "Athens", "Austria": "Vienna", "Poland": "Warsaw",
}  # fmt: skip
FILES = "dataset_path: json\ndataset_kwargs: {data_files: {test: FOLDER/capitals.jsonl}}\n"
TASKS = {
    "capital_choice": """\
test_split: test
fewshot_split: test
output_type: multiple_choice
doc_to_text: "What is the capital of {{country}}?"
doc_to_choice: choices
doc_to_target: gold
num_fewshot: 2
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "capital_text": """\
test_split: test
output_type: generate_until
doc_to_text: "What is the capital of {{country}}?"
doc_to_target: capital
generation_kwargs: {until: ["\\n"], max_gen_toks: 12}
metric_list: [{metric: exact_match}]
filter_list:
  - name: word
    filter: [{function: regex, regex_pattern: "([A-Z][a-z]+)\\\\.?$"}, {function: take_first}]
""",
    "capital_likelihood": """\
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "The capital of {{country}} is {{capital}}."
metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]
""",
}


@pytest.fixture(scope="session")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tasks."""
    folder = tmp_path_factory.mktemp("tasks")
    names = [*CAPITALS.values()]
    rows = [
        {
            "country": country, "capital": capital, "gold": place % 2,
            "choices": [capital, names[place - 3]][:: 1 if place % 2 == 0 else -1],
        }
        for place, (country, capital) in enumerate(CAPITALS.items())
    ]  # fmt: skip
    (folder / "capitals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, text in TASKS.items():
        body = f"task: {name}\n{FILES}{text}".replace("FOLDER", str(folder))
        (folder / f"{name}.yaml").write_text(body)
    (folder / "capitals.yaml").write_text(f"group: capitals\ntask: [{', '.join(TASKS)}]\n")
    return folder
