"""lm-eval's tasks over a backend beside lm-eval's own `hf` model, and what is refused by name."""

import threading
from pathlib import Path
from typing import Any

import pytest
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM

from playground.backends.local import LocalBackend
from playground.backends.scripted import ScriptedBackend
from playground.engine import Limits
from playground.errors import InvalidRequest
from playground.evaluation.harness.run import RunHooks
from playground.evaluation.harness.tasks import TaskChoice, Tasks, load_tasks
from playground.evaluation.report_card import EvaluationStopped
from playground.lab.sweeps.harness import ModelResult, read_harness_run, run_harness
from playground.protocol import Backend
from playground.protocol.json_types import JsonObject

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # theirs
EMBEDDED = Path(__file__).parents[3] / "playground" / "models" / "embedded"
OUTSIDE_ROOM = 2


def ran(backend: Backend, home: Path, folder: Path, **asked: object) -> ModelResult:
    body: JsonObject = {"tasks": "capitals", "models": ["embedded"], **asked}  # type: ignore[dict-item]
    (result,) = run_harness(backend, read_harness_run(body, [folder]), home, RunHooks())
    return result


def of_hf(tasks: Tasks, length: int) -> dict[str, Any]:
    """What lm-eval gives with transformers on the same tasks."""
    model = HFLM(
        str(EMBEDDED), dtype="float32", device="cpu", batch_size=4, max_length=length - OUTSIDE_ROOM
    )
    loaded = {"tasks": dict(tasks.tasks), "groups": dict(tasks.groups)}
    found: dict[str, Any] = evaluate(lm=model, task_dict=loaded, bootstrap_iters=1)
    return found


def likelihoods(found: dict[str, Any], task: str) -> list[float]:
    samples = found["samples"][task]
    return [float(each[0][0]) for sample in samples for each in sample["resps"]]


def test_figures_are_those_of_lm_evals_own(
    backend: LocalBackend, task_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def kept(**given: Any) -> Any:
        seen.update(evaluate(**given))
        return seen

    monkeypatch.setattr("lm_eval.evaluator.evaluate", kept)
    ours = ran(backend, tmp_path, task_folder).result
    monkeypatch.undo()
    tasks = load_tasks(TaskChoice(("capitals",), (task_folder,)))
    theirs = of_hf(tasks, backend.default_model.context_length)
    for figure in ours.figures:
        value = theirs["results"][figure.task][f"{figure.metric},{figure.filter}"]
        assert figure.value == pytest.approx(value, rel=1e-3), figure.name
    assert {figure.metric for figure in ours.figures} == {
        "acc", "acc_norm", "exact_match", "word_perplexity", "bits_per_byte"
    }  # fmt: skip
    near, far = (likelihoods(found, "capital_choice") for found in (seen, theirs))
    assert near == pytest.approx(far, abs=1e-3)
    assert len(near) == 16


def test_second_run_asks_nothing(backend: LocalBackend, task_folder: Path, tmp_path: Path) -> None:
    first = ran(backend, tmp_path, task_folder).result
    again = ran(backend, tmp_path, task_folder).result
    assert (first.asked > 0, again.asked, again.requests) == (True, 0, first.requests)
    assert again.figures == first.figures
    assert ran(backend, tmp_path, task_folder, num_fewshot=1).result.asked > 0


def test_stopped_run_goes_on(backend: LocalBackend, task_folder: Path, tmp_path: Path) -> None:
    body: JsonObject = {"tasks": "capital_text", "models": ["embedded"]}
    run, stop = read_harness_run(body, [task_folder]), threading.Event()

    def stop_early(done: int, _total: int) -> None:
        if done >= 2:
            stop.set()

    slow = Limits(max_sequences=1)
    with LocalBackend(backend.loaded, limits=slow) as one_by_one:
        with pytest.raises(EvaluationStopped):
            list(run_harness(one_by_one, run, tmp_path, RunHooks(stop, stop_early)))
        (result,) = run_harness(one_by_one, run, tmp_path, RunHooks())
    assert 0 < result.result.asked < result.result.requests == 8


def test_chat_template_answers_the_question(
    backend: LocalBackend, task_folder: Path, tmp_path: Path
) -> None:
    asked = {"tasks": "capital_text", "apply_chat_template": True}
    (figure,) = ran(backend, tmp_path, task_folder, **asked).result.figures
    assert (figure.name, figure.value) == ("capital_text exact_match (word)", 1.0)


def test_backend_without_logprobs_is_refused(task_folder: Path, tmp_path: Path) -> None:
    asked: list[object] = []

    def script(request: object) -> list[str]:
        asked.append(request)
        return ["Paris."]

    backend = ScriptedBackend(script)
    with pytest.raises(InvalidRequest, match="scripted gives no log-probabilities of a prompt"):
        ran(backend, tmp_path, task_folder, models=["scripted"])
    assert not asked
    text = ran(backend, tmp_path, task_folder, tasks="capital_text", models=["scripted"])
    assert text.result.figures[0].value == pytest.approx(1 / 8)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("capital_chioce",), "there is no task 'capital_chioce'; did you mean capital_choice"),
        (("hellaswga",), "there is no task 'hellaswga'; did you mean hellaswag"),
        (("far_away",), "far_away: its data are not on this disk, and no network reaches the hub"),
        (("runs_code",), "runs_code runs code that the model writes, on this machine"),
        (("both",), "runs_code runs code"),
    ],
)
def test_wrong_task_is_named(
    names: tuple[str, ...],
    message: str,
    task_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    common = "output_type: generate_until\ntest_split: test\ndoc_to_text: a\ndoc_to_target: b\n"
    (tmp_path / "far_away.yaml").write_text(f"task: far_away\ndataset_path: nobody/rows\n{common}")
    (tmp_path / "code.yaml").write_text(
        f"task: runs_code\nunsafe_code: true\ndataset_path: nobody/rows\n{common}"
    )
    (tmp_path / "both.yaml").write_text("group: both\ntask: [capital_text, runs_code]\n")
    with pytest.raises(InvalidRequest, match=message):
        load_tasks(TaskChoice(names, (task_folder, tmp_path)))
