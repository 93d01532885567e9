"""Many clients at once, on the playground in a process of its own."""

import asyncio

import openai
import pytest

pytestmark = pytest.mark.slow

STREAMS, MAX_TOKENS = 32, 48
QUESTIONS = (
    "Hello!",
    "What is the capital of Japan?",
    "Could you make a table of the planets, please?",
    "please write hello world in Python for me",
)


async def streamed(client: openai.AsyncOpenAI, text: str) -> str:
    chunks = await client.chat.completions.create(
        model="embedded",
        messages=[{"role": "user", "content": text}],
        max_tokens=MAX_TOKENS,
        temperature=0,
        stream=True,
    )
    return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])


async def test_32_streams_at_once_each_get_their_solo_answer(playground_url: str) -> None:
    texts = [f"{QUESTIONS[at % 4]} {'Please. ' * (at % 5)}" for at in range(STREAMS)]
    async with openai.AsyncOpenAI(base_url=f"{playground_url}/v1", api_key="none") as client:
        alone = {text: await streamed(client, text) for text in dict.fromkeys(texts)}
        together = await asyncio.gather(*(streamed(client, text) for text in texts))
    assert together == [alone[text] for text in texts]
    assert all(together)
