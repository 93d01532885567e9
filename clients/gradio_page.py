"""gradio_client: the page's own endpoint for programs."""

from typing import Any

from gradio_client import Client as Page
from gradio_client.exceptions import AppError

from clients import cases
from clients.scenarios import Client, base_url, raises

CLIENT = Client("gradio_client")
page = Page(base_url(), verbose=False)
scenario = CLIENT.scenario


def predict(**options: Any) -> Any:
    """A chat by the page's endpoint."""
    return page.predict(**{"message": cases.QUESTION, "api_name": "/chat", **options})


@scenario("chat")
def _() -> None:
    assert predict()


@scenario("stream")
def _() -> None:
    job = page.submit(message=cases.QUESTION, api_name="/chat")
    assert job.result(timeout=60)
    assert job.outputs()


@scenario("several at once")
def _() -> None:
    jobs = [page.submit(message=cases.QUESTION, api_name="/chat") for _ in range(4)]
    assert all(job.result(timeout=60) for job in jobs)


@scenario("cancel")
def _() -> None:
    job = page.submit(message=cases.QUESTION, api_name="/chat")
    job.cancel()
    assert predict()


@scenario("endpoints are described")
def _() -> None:
    described: Any = page.view_api(return_format="dict", print_info=False)
    assert "/chat" in described["named_endpoints"]


@scenario("error: unknown model")
def _() -> None:
    raises(AppError, lambda: predict(model="nobody"), "nobody")


@scenario("error: too long")
def _() -> None:
    raises(AppError, lambda: predict(message=cases.TOO_LONG), "too long")


if __name__ == "__main__":
    CLIENT.run()
