// Runs the scenarios of one client of JavaScript; prints what `scenarios.py` prints.
import { readFileSync } from "node:fs";

export const MODEL = "embedded";
export const QUESTION = "What is the capital of France?";
export const MESSAGES = [{ role: "user", content: QUESTION }];
export const ASK_WEATHER = [{ role: "user", content: "What is the weather in Oslo?" }];
export const CITIES = ["Oslo", "Paris"];
export const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string", enum: CITIES } },
  required: ["city"],
  additionalProperties: false,
};
export const TOOLS = [
  {
    type: "function",
    function: { name: "get_weather", description: "The weather in a city.", parameters: PARAMETERS },
  },
];
export const JSON_SCHEMA = {
  type: "json_schema",
  json_schema: { name: "answer", schema: PARAMETERS, strict: true },
};
export const TOO_LONG = "word ".repeat(6000);
export const BASE = process.argv[2];

export function assert(condition, message = "not so") {
  if (!condition) throw new Error(message);
}

export async function rejects(call, word) {
  try {
    await call();
  } catch (error) {
    const shown = `${error.code ?? ""} ${error.message} ${error.responseBody ?? ""}`;
    assert(shown.includes(word), `${word} not in ${shown}`);
    return error;
  }
  throw new Error("not refused");
}

export class Client {
  constructor(name, folder) {
    this.name = name;
    const where = new URL(`./node_modules/${folder}/package.json`, import.meta.url);
    this.version = JSON.parse(readFileSync(where)).version;
    this.scenarios = [];
  }

  // `fault`: why the client itself cannot do it; then the scenario has to fail.
  scenario(name, run, fault = "") {
    this.scenarios.push([name, run, fault]);
  }

  async run() {
    for (const [name, run, fault] of this.scenarios) {
      const began = Date.now();
      let error = "";
      try {
        await run();
      } catch (thrown) {
        error = `${thrown.name}: ${thrown.message}`.slice(0, 500);
      }
      const outcome = {
        client: this.name,
        version: this.version,
        scenario: name,
        passed: !error,
        fault,
        error,
        seconds: (Date.now() - began) / 1000,
      };
      console.log(`outcome: ${JSON.stringify(outcome)}`);
    }
  }
}
