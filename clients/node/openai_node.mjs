// openai for JavaScript: chat, responses, files.
import OpenAI, { toFile } from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import * as c from "./scenarios.mjs";

const client = new c.Client("openai (npm)", "openai");
const api = new OpenAI({ baseURL: `${c.BASE}/v1`, apiKey: "any", maxRetries: 0 });
const base = { model: c.MODEL, messages: c.MESSAGES, max_tokens: 16, temperature: 0 };
const chat = (more = {}) => api.chat.completions.create({ ...base, ...more });
const required = {
  messages: c.ASK_WEATHER,
  tools: c.TOOLS,
  tool_choice: "required",
  max_tokens: 80,
};
const Answer = z.object({ city: z.enum(["Oslo", "Paris"]) });

client.scenario("chat", async () => {
  c.assert((await chat()).choices[0].message.content);
});
client.scenario("stream", async () => {
  let text = "";
  for await (const chunk of await chat({ stream: true }))
    text += chunk.choices[0].delta.content ?? "";
  c.assert(text === (await chat()).choices[0].message.content);
});
client.scenario("usage in stream", async () => {
  const options = { ...base, stream: true, stream_options: { include_usage: true } };
  const usage = await api.chat.completions.stream(options).totalUsage();
  c.assert(usage.completion_tokens > 0);
});
client.scenario("tools", async () => {
  const [call] = (await chat(required)).choices[0].message.tool_calls;
  c.assert(c.CITIES.includes(JSON.parse(call.function.arguments).city));
});
client.scenario("tools in stream", async () => {
  const answer = await api.chat.completions.stream({ ...base, ...required }).finalMessage();
  c.assert(answer.tool_calls[0].function.name === "get_weather");
});
client.scenario("tool round trip", async () => {
  const tool = {
    type: "function",
    function: {
      name: "get_weather",
      parse: JSON.parse,
      parameters: c.PARAMETERS,
      function: ({ city }) => `3 degrees in ${city}`,
    },
  };
  const runner = api.chat.completions.runTools({ ...base, messages: c.ASK_WEATHER, tools: [tool] });
  await runner.finalContent();
});
client.scenario("structured output", async () => {
  const form = zodResponseFormat(Answer, "answer");
  const answer = await api.chat.completions.parse({ ...base, max_tokens: 60, response_format: form });
  c.assert(c.CITIES.includes(answer.choices[0].message.parsed.city));
});
client.scenario("stop", async () => {
  const whole = (await chat()).choices[0].message.content;
  const cut = (await chat({ stop: [whole.slice(4, 6)] })).choices[0].message.content;
  c.assert(cut.length < whole.length);
});
client.scenario("n", async () => {
  c.assert((await chat({ n: 2, temperature: 1 })).choices.length === 2);
});
client.scenario("logprobs", async () => {
  const choice = (await chat({ logprobs: true, top_logprobs: 2 })).choices[0];
  c.assert(choice.logprobs.content[0].top_logprobs.length === 2);
});
client.scenario("seed", async () => {
  const texts = [await chat({ seed: 7, temperature: 1 }), await chat({ seed: 7, temperature: 1 })];
  c.assert(texts[0].choices[0].message.content === texts[1].choices[0].message.content);
});
client.scenario("cancel", async () => {
  const stream = await chat({ stream: true, max_tokens: 1000 });
  for await (const _ of stream) break;
  c.assert((await chat()).choices.length === 1);
});
client.scenario("models", async () => {
  const ids = [];
  for await (const model of api.models.list()) ids.push(model.id);
  c.assert(ids.includes(c.MODEL));
});
client.scenario("files", async () => {
  const rows = Buffer.from('{"prompt": "a", "completion": "b"}\n');
  const made = await api.files.create({
    file: await toFile(rows, "rows.jsonl"),
    purpose: "fine-tune",
  });
  c.assert((await (await api.files.content(made.id)).text()) === rows.toString());
  c.assert((await api.files.delete(made.id)).deleted);
});
client.scenario("responses: chat", async () => {
  const made = await api.responses.create({ model: c.MODEL, input: c.QUESTION });
  c.assert(made.output_text);
});
client.scenario("responses: stream", async () => {
  const made = api.responses.stream({ model: c.MODEL, input: c.QUESTION });
  c.assert((await made.finalResponse()).output_text);
});
client.scenario("error: unknown model", () =>
  c.rejects(() => chat({ model: "nobody" }), "model_not_found"),
);
client.scenario("error: too long", () =>
  c.rejects(
    () => chat({ messages: [{ role: "user", content: c.TOO_LONG }] }),
    "context_length_exceeded",
  ),
);
await client.run();
