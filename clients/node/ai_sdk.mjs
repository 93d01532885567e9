// The AI SDK with its providers: openai (responses and chat), openai-compatible, mistral.
import { createMistral } from "@ai-sdk/mistral";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";
import * as c from "./scenarios.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const url = `${c.BASE}/v1`;
const client = new c.Client("ai (npm)", "ai");
const compatible = createOpenAICompatible({
  name: "here",
  baseURL: url,
  apiKey: "any",
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const openai = createOpenAI({ baseURL: url, apiKey: "any" });
const mistral = createMistral({ baseURL: url, apiKey: "any" });
const PROVIDERS = {
  "openai responses": openai,
  "openai chat": openai.chat,
  "openai-compatible": compatible,
  mistral,
};
const schema = z.object({ city: z.enum(["Oslo", "Paris"]) });
const weather = tool({
  description: "The weather in a city.",
  inputSchema: schema,
  execute: async ({ city }) => `3 degrees in ${city}`,
});

for (const [provider, make] of Object.entries(PROVIDERS)) {
  const base = { model: make(c.MODEL), maxRetries: 0, maxOutputTokens: 80 };
  client.scenario(`${provider}: chat`, async () => {
    const made = await generateText({ ...base, prompt: c.QUESTION });
    c.assert(made.text);
    c.assert(made.usage.outputTokens > 0, "no usage");
  });
  client.scenario(`${provider}: stream`, async () => {
    const made = streamText({ ...base, prompt: c.QUESTION, onError: () => {} });
    let text = "";
    for await (const part of made.textStream) text += part;
    c.assert(text);
    c.assert((await made.usage).outputTokens > 0, "no usage");
  });
  client.scenario(`${provider}: tools`, async () => {
    const made = await generateText({
      ...base,
      prompt: c.ASK_WEATHER[0].content,
      tools: { weather: tool({ description: "The weather.", inputSchema: schema }) },
      toolChoice: "required",
    });
    c.assert(c.CITIES.includes(made.toolCalls[0].input.city));
  });
  client.scenario(`${provider}: tools in stream`, async () => {
    const made = streamText({
      ...base,
      prompt: c.ASK_WEATHER[0].content,
      tools: { weather: tool({ description: "The weather.", inputSchema: schema }) },
      toolChoice: "required",
      onError: () => {},
    });
    c.assert((await made.toolCalls).length > 0);
  });
  client.scenario(`${provider}: tool round trip`, async () => {
    const made = await generateText({
      ...base,
      prompt: c.ASK_WEATHER[0].content,
      tools: { weather },
      stopWhen: stepCountIs(3),
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber ? "auto" : "required" }),
    });
    c.assert(made.steps.length > 1);
  });
  client.scenario(`${provider}: structured output`, async () => {
    const made = await generateObject({ ...base, prompt: c.QUESTION, schema });
    c.assert(c.CITIES.includes(made.object.city));
  });
  client.scenario(`${provider}: structured output in stream`, async () => {
    const made = streamObject({ ...base, prompt: c.QUESTION, schema, onError: () => {} });
    for await (const _ of made.partialObjectStream);
    c.assert(c.CITIES.includes((await made.object).city));
  });
  client.scenario(`${provider}: error: unknown model`, () =>
    c.rejects(() => generateText({ ...base, model: make("nobody"), prompt: "Hi" }), "nobody"),
  );
  client.scenario(`${provider}: error: too long`, () =>
    c.rejects(() => generateText({ ...base, prompt: c.TOO_LONG }), "too long"),
  );
}
client.scenario("openai-compatible: completions", async () => {
  const made = await generateText({
    model: compatible.completionModel(c.MODEL),
    prompt: "The capital",
    maxOutputTokens: 4,
  });
  c.assert(made.text);
});
client.scenario("mistral: seed", async () => {
  const ask = () =>
    generateText({ model: mistral(c.MODEL), prompt: c.QUESTION, seed: 3, maxOutputTokens: 16 });
  c.assert((await ask()).text === (await ask()).text);
});
await client.run();
