// together-ai for JavaScript: chat, completions, models, files.
import Together from "together-ai";
import * as c from "./scenarios.mjs";

const client = new c.Client("together-ai (npm)", "together-ai");
const api = new Together({ baseURL: `${c.BASE}/v1`, apiKey: "any", maxRetries: 0 });
const base = { model: c.MODEL, messages: c.MESSAGES, max_tokens: 16, temperature: 0 };
const chat = (more = {}) => api.chat.completions.create({ ...base, ...more });
const required = {
  messages: c.ASK_WEATHER,
  tools: c.TOOLS,
  tool_choice: "required",
  max_tokens: 80,
};

client.scenario("chat", async () => {
  c.assert((await chat()).choices[0].message.content);
});
client.scenario("stream", async () => {
  let text = "";
  for await (const chunk of await chat({ stream: true }))
    text += chunk.choices[0]?.delta.content ?? "";
  c.assert(text === (await chat()).choices[0].message.content);
});
client.scenario("tools", async () => {
  const [call] = (await chat(required)).choices[0].message.tool_calls;
  c.assert(c.CITIES.includes(JSON.parse(call.function.arguments).city));
});
client.scenario("tool round trip", async () => {
  const message = (await chat(required)).choices[0].message;
  const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "3 degrees" };
  await chat({ messages: [...c.ASK_WEATHER, message, result], tools: c.TOOLS });
});
client.scenario("structured output", async () => {
  const answer = await chat({ response_format: c.JSON_SCHEMA, max_tokens: 60 });
  c.assert(c.CITIES.includes(JSON.parse(answer.choices[0].message.content).city));
});
client.scenario("logprobs", async () => {
  c.assert((await chat({ logprobs: 1 })).choices[0].logprobs.token_logprobs.length > 0);
});
client.scenario("n", async () => {
  c.assert((await chat({ n: 2, temperature: 1 })).choices.length === 2);
});
client.scenario("completions", async () => {
  const made = await api.completions.create({ model: c.MODEL, prompt: "The capital", max_tokens: 4 });
  c.assert(made.choices[0].text);
});
client.scenario("models", async () => {
  const models = await api.models.list();
  c.assert(models.map((model) => model.id).includes(c.MODEL));
});
client.scenario("error: unknown model", () =>
  c.rejects(() => chat({ model: "nobody" }), "nobody"),
);
client.scenario("error: too long", () =>
  c.rejects(
    () => chat({ messages: [{ role: "user", content: c.TOO_LONG }] }),
    "context_length_exceeded",
  ),
);
await client.run();
