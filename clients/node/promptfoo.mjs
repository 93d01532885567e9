// promptfoo, by its command: chat, completions, tools and schemas, graded.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as c from "./scenarios.mjs";

const folder = mkdtempSync(join(tmpdir(), "promptfoo-"));
const program = fileURLToPath(new URL("./node_modules/promptfoo/package.json", import.meta.url));
const main = join(program, "..", JSON.parse(readFileSync(program)).bin.promptfoo);
const client = new c.Client("promptfoo (npm)", "promptfoo");

// Evaluate one prompt; returns the only result.
function evaluate(id, config, assertion, prompt = c.QUESTION) {
  const settings = { apiBaseUrl: `${c.BASE}/v1`, apiKey: "any", max_tokens: 80, ...config };
  const written = join(folder, "config.json");
  const output = join(folder, "output.json");
  const tests = [{ assert: [assertion] }];
  writeFileSync(written, JSON.stringify({ prompts: [prompt], providers: [{ id, config: settings }], tests }));
  try {
    execFileSync(
      "node",
      [main, "eval", "-c", written, "-o", output, "--no-cache", "--no-write", "--no-progress-bar"],
      { env: { ...process.env, PROMPTFOO_CONFIG_DIR: folder }, stdio: "pipe", timeout: 120000 },
    );
  } catch (error) {
    if (error.status !== 100) throw error; // 100: a test failed, and the output says so
  }
  return JSON.parse(readFileSync(output)).results.results[0];
}

const chat = `openai:chat:${c.MODEL}`;
client.scenario("chat", () => {
  const result = evaluate(chat, {}, { type: "javascript", value: "output.length > 0" });
  c.assert(result.success, result.error);
});
client.scenario("completions", () => {
  const any = { type: "javascript", value: "output.length > 0" };
  const result = evaluate(`openai:completion:${c.MODEL}`, {}, any, "The capital");
  c.assert(result.success, result.error);
});
client.scenario("tools", () => {
  const config = { tools: c.TOOLS, tool_choice: "required" };
  const result = evaluate(chat, config, { type: "is-valid-openai-tools-call" });
  c.assert(result.success, result.error);
});
client.scenario("structured output", () => {
  const config = { response_format: c.JSON_SCHEMA };
  const result = evaluate(chat, config, { type: "is-json", value: c.PARAMETERS });
  c.assert(result.success, result.error);
});
client.scenario("error: unknown model", () => {
  const any = { type: "javascript", value: "true" };
  const result = evaluate("openai:chat:nobody", {}, any);
  c.assert(String(result.error).includes("nobody"), result.error);
});
await client.run();
