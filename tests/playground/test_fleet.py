"""Two pages over two servers and one database, as a small fleet has them."""

from contextlib import ExitStack
from pathlib import Path

import httpx
import openai
import pytest

from tests.playground.conftest import killable_playground, playground_process
from tests.postgresql import NEEDS_POSTGRESQL, postgresql

pytestmark = [pytest.mark.slow, NEEDS_POSTGRESQL]
FLEET = "fleet/embedded"


def said(client: openai.OpenAI, conversation: str) -> list[tuple[str, str]]:
    """Roles and texts of a conversation's messages."""
    items = client.conversations.items.list(conversation, order="asc")
    return [(each.role, each.content[0].text) for each in items]  # type: ignore[union-attr, index]


def test_killed_server_costs_one_answer(tmp_path: Path, playground_url: str) -> None:
    with ExitStack() as stack:
        database = stack.enter_context(postgresql())
        dying, process = stack.enter_context(killable_playground(tmp_path / "dying"))
        flags = ("--database-url", database, "--backend")
        fleet = f"fleet=playground+{dying},{playground_url}"
        urls = [
            stack.enter_context(playground_process(tmp_path / name, *flags, fleet))
            for name in ("one", "two")
        ]
        one, two = (
            stack.enter_context(openai.OpenAI(base_url=f"{url}/v1", api_key="none")) for url in urls
        )
        conversation = one.conversations.create().id
        first = one.responses.create(
            model=FLEET, conversation=conversation, input="What is the capital of France?",
            max_output_tokens=40, temperature=0,
        )  # fmt: skip
        assert "Paris" in first.output_text
        stream = one.responses.create(
            model=FLEET, conversation=conversation, stream=True, temperature=0,
            input="Make a table of the planets, please.", max_output_tokens=400,
        )  # fmt: skip
        kinds = []
        for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta" and process.exit_code is None:
                process.kill()
        assert kinds[-1] == "response.failed"
        after = two.responses.create(
            model=FLEET, conversation=conversation, input="And of Italy?", max_output_tokens=40,
            temperature=0,
        )  # fmt: skip
        assert after.status == "completed"
        whole = said(two, conversation)
        assert whole == said(one, conversation)
        assert whole[:2] == [
            ("user", "What is the capital of France?"),
            ("assistant", first.output_text),
        ]
        assert whole[-2:] == [("user", "And of Italy?"), ("assistant", after.output_text)]
        line = httpx.get(f"{urls[1]}/v1/usage?group_by=server").json()["data"]
        assert [(each["server"], each["answers"]) for each in line] == [("fleet", 3)]
