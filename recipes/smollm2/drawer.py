"""Draws one training row for SmolLM2: names of functions in several styles, with and without
descriptions, among functions that can be confused with them. Knows no file and no model.
"""

import json
import random
import re
from collections.abc import Iterable, Sequence
from typing import Any

from playground.backends.local.prompt import SCHEMA_TEXT
from recipes.smollm2.sentences import ServiceCall, Wish

Row = dict[str, Any]
SESSION_REFUSALS, SINGLE_REFUSALS = 0.2, 0.15
"""Shares of requests that no function is for. With 0.3 and 0.25 the model refused too often."""
NEAR = 0.7
"""Share of the other functions that are of the same domain, and so easily confused."""

SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant with access to functions.",
    "Be brief.",
    "Help the user. Use the functions where they fit.",
    "You are the assistant of a small company. Never make up values.",
    "Today is Monday, 3 March.",
)
REFUSALS = (
    "None of my functions can do that.",
    "I'm sorry, I have no function for that.",
    "I can't do that with the functions I have.",
    "Sorry, that is not something my functions can help with.",
    "I have no tool that fits this request.",
    "That's beyond me: there is no function for it.",
    "I'm afraid none of my tools does that.",
    "I can't help with that here; my functions are for other things.",
)
RESULTS = ('{"ok": true}', "done", '{"status": "ok"}')
RECORDERS = (
    ("save_record", "Save what a message says"),
    ("addEntry", "Add an entry to the list"),
    ("store_details", "Keep these details"),
    ("register", "Register something new"),
    ("create_note", "Write down the facts of a text"),
    ("submitForm", "Fill in and send the form"),
)
"""Functions whose parameters are the fields of a text, whatever it is about."""
EXTRACTIONS = (
    "Extract the data: {text}",
    "{text}",
    "Read the fields from this text.\n\n{text}",
    "Fill in the form from this message: {text}",
    "What does it say?\n{text}",
    "{text}\n\nExtract the fields as JSON.",
    'Return the values found in: "{text}"',
    "Pull the details out of the following.\n{text}",
    "Please turn this into JSON: {text}",
)


class Drawer:
    """Draws rows, seeded; ``strangers`` are functions of other programs, as distractors."""

    def __init__(self, seed: int, strangers: Sequence[Row]) -> None:
        self._random = random.Random(seed)
        self._strangers = strangers

    # -- functions ---------------------------------------------------------------------------

    def name(self, intent: str, style: str) -> str:
        """An intent's name in snake_case, camelCase or PascalCase."""
        words = _words(intent)
        if style == "snake":
            return "_".join(words)
        pascal = "".join(word.capitalize() for word in words)
        return pascal if style == "pascal" else words[0] + pascal[len(words[0]) :]

    def function(self, intent: str, style: str, slots: Iterable[str], example: str = "") -> Row:
        """A function for an intent, its slots optional parameters."""
        draw = self._random.random()
        function: Row = {"name": self.name(intent, style)}
        if draw < 0.6:
            function["description"] = " ".join(_words(intent))
        elif draw < 0.75 and example:
            function["description"] = f"For wishes such as: {example}"
        described = self._random.random() < 0.2
        properties: Row = {}
        for slot in slots:
            properties[self.name(slot, style) if style != "pascal" else slot] = (
                {"type": "string", "description": " ".join(_words(slot))}
                if described
                else {"type": "string"}
            )
        function["parameters"] = {"type": "object", "properties": properties}
        return function

    def style(self) -> str:
        """A style of names, most often snake_case."""
        return self._random.choices(("snake", "camel", "pascal"), (6, 2, 2))[0]

    def conversation(self, messages: Sequence[Row], functions: Sequence[Row]) -> Row:
        """A row; sometimes with a system prompt. A result that nothing follows is left out."""
        told = list(messages[:-1] if messages[-1]["role"] == "tool" else messages)
        if self._random.random() < 0.2:
            told.insert(0, {"role": "system", "content": self._random.choice(SYSTEMS)})
        tools = [{"type": "function", "function": function} for function in functions]
        self._random.shuffle(tools)
        return {"messages": told, "tools": tools}

    # -- rows --------------------------------------------------------------------------------

    def wish(
        self, wish: Wish, by_intent: dict[str, list[Wish]], slots: dict[str, list[str]]
    ) -> Row:
        """A wish with its function among others, or without it and refused."""
        style = self.style()
        near: list[str] = []
        far: list[str] = []
        for intent, wishes in by_intent.items():
            if intent != wish.intent:
                (near if wishes[0].domain == wish.domain else far).append(intent)
        count = self._random.choices((0, 1, 2, 3, 4, 5), (1, 2, 3, 6, 1, 1))[0]
        others = [
            self._random.choice(near if near and self._random.random() < NEAR else far)
            for _ in range(count)
        ]
        is_refused = wish.intent is None or self._random.random() < SINGLE_REFUSALS
        if is_refused:
            others = [self._random.choice(far) for _ in range(max(1, count))]
        names = list(dict.fromkeys(others))
        if not is_refused and wish.intent:
            names.append(wish.intent)
        functions = [
            self.function(
                name, style, slots.get(name, []), self._random.choice(by_intent[name]).text
            )
            for name in names
        ]
        if self._strangers and self._random.random() < 0.3:
            functions.append(self._random.choice(self._strangers))
        user = {"role": "user", "content": wish.text}
        if is_refused or wish.intent is None:
            return self.conversation([user, self.refusal()], functions)
        known = slots.get(wish.intent, [])
        arguments = {
            (self.name(slot, style) if style != "pascal" else slot): wish.slots[slot]
            for slot in known
            if slot in wish.slots
        }
        return self.conversation([user, call(self.name(wish.intent, style), arguments)], functions)

    def session(self, by_intent: dict[str, list[Wish]], slots: dict[str, list[str]]) -> Row:
        """Several wishes to the same functions, of which some are for none of them.

        A row of one wish has a label for one token in eight, such a row for one in four.
        """
        style = self.style()
        start = self._random.choice(list(by_intent))
        domain = by_intent[start][0].domain
        near = [intent for intent, wishes in by_intent.items() if wishes[0].domain == domain]
        far = [intent for intent in by_intent if intent not in near]
        count = self._random.choices((1, 2, 3, 4), (3, 4, 4, 3))[0]
        known = [start]
        for _ in range(count - 1):
            known.append(self._random.choice(near if self._random.random() < NEAR else far))
        known = list(dict.fromkeys(known))
        absent = [intent for intent in far if intent not in known]
        functions = [
            self.function(
                name, style, slots.get(name, []), self._random.choice(by_intent[name]).text
            )
            for name in known
        ]
        if self._strangers and self._random.random() < 0.25:
            functions.append(self._random.choice(self._strangers))
        messages: list[Row] = []
        for _ in range(self._random.choice((2, 3, 3, 4))):
            is_refused = bool(absent) and self._random.random() < SESSION_REFUSALS
            wish = self._random.choice(
                by_intent[self._random.choice(absent if is_refused else known)]
            )
            messages.append({"role": "user", "content": wish.text})
            if is_refused:
                messages.append(self.refusal())
                continue
            intent = str(wish.intent)
            arguments = {
                (self.name(slot, style) if style != "pascal" else slot): wish.slots[slot]
                for slot in slots.get(intent, [])
                if slot in wish.slots
            }
            messages += [call(self.name(intent, style), arguments), self.result()]
        return self.conversation(messages, functions)

    def own_session(self, rows: Sequence[Row]) -> Row:
        """The project's own requests, two or three to the same functions, some to none of them."""
        known = self._random.sample(rows, self._random.choice((1, 2, 2, 3)))
        functions = {row["function"]["name"]: row["function"] for row in known}
        asked = [
            (row, False) for row in known if row["function"] is functions[row["function"]["name"]]
        ]
        for row in self._random.sample(rows, self._random.choice((0, 1, 1, 2))):
            asked += [(row, True)] if row["function"]["name"] not in functions else []
        extra = self._random.sample(rows, self._random.choice((0, 0, 1, 2)))
        functions = {row["function"]["name"]: row["function"] for row in extra} | functions
        refused = [row["function"]["name"] for row, is_refused in asked if is_refused]
        functions = {name: each for name, each in functions.items() if name not in refused}
        self._random.shuffle(asked)
        messages: list[Row] = []
        for row, is_refused in asked:
            messages.append({"role": "user", "content": row["text"]})
            if is_refused:
                messages.append(self.refusal())
            else:
                made = call(row["function"]["name"], row["arguments"])
                messages += [made, self.result()]
        return self.conversation(messages, list(functions.values()))

    def result(self) -> Row:
        """What a function gave, in a few words."""
        return {"role": "tool", "content": self._random.choice(RESULTS)}

    def refusal(self) -> Row:
        """An answer in words."""
        return {"role": "assistant", "content": self._random.choice(REFUSALS)}

    def extraction(self, wishes: Sequence[Wish]) -> Row:
        """The slots of wishes that have the same ones, as fields of a schema that is shown."""
        style = self.style()
        fields = list(wishes[0].slots)
        self._random.shuffle(fields)
        schema: Row = {
            "type": "object",
            "properties": {self.name(slot, style): {"type": "string"} for slot in fields},
            "required": [self.name(slot, style) for slot in fields],
        }
        first, *others = wishes
        row = self.filled(first.text, schema, self._fields(first, fields, style))
        for wish in others:
            told = self._random.choice(EXTRACTIONS).format(text=wish.text)
            answer = json.dumps(self._fields(wish, fields, style), ensure_ascii=False)
            row["messages"] += [
                {"role": "user", "content": told},
                {"role": "assistant", "content": answer},
            ]
        return row

    def _fields(self, wish: Wish, fields: Sequence[str], style: str) -> Row:
        return {self.name(slot, style): wish.slots[slot] for slot in fields}

    def filled(self, text: str, schema: Row, values: Row, instruction: str = "") -> Row:
        """A row whose answer is JSON of a schema."""
        if self._random.random() < 0.5:
            schema = {**schema, "additionalProperties": False}
        shown = SCHEMA_TEXT.format(schema=json.dumps(schema, ensure_ascii=False))
        asked = instruction or self._random.choice(EXTRACTIONS).format(text=text)
        return {
            "messages": [
                {"role": "system", "content": shown},
                {"role": "user", "content": asked},
                {"role": "assistant", "content": json.dumps(values, ensure_ascii=False)},
            ]
        }

    def request_as_text(self, row: Row) -> Row:
        """One of the project's own requests, whose arguments are asked for as fields."""
        given, function = row["arguments"], row["function"]
        known = function["parameters"]["properties"]
        names = [name for name in known if name in given]
        schema: Row = {
            "type": "object",
            "properties": {name: known[name] for name in names},
            "required": names,
        }
        return self.filled(row["text"], schema, {name: given[name] for name in names})

    def text_as_request(self, row: Row, others: Sequence[Row]) -> Row:
        """One of the project's own texts, to be recorded by a function that has its fields."""
        name, description = self._random.choice(RECORDERS)
        recorder = {"name": name, "description": description, "parameters": row["schema"]}
        beside = self._random.sample(others, self._random.choice((0, 1, 2)))
        user = {"role": "user", "content": row["text"]}
        functions = [recorder, *(other["function"] for other in beside)]
        return self.conversation([user, call(name, row["output"])], functions)

    def service(self, called: ServiceCall) -> Row:
        """A dialogue and the call that it leads to; sometimes the call's result told in words."""
        functions = [self._plainer(function) for function in called.functions]
        if self._strangers and self._random.random() < 0.3:
            functions.append(self._random.choice(self._strangers))
        made = call(str(called.call["name"]), dict(called.call["arguments"]))
        if self._random.random() < 0.15:
            result = {"role": "tool", "content": json.dumps(called.result, ensure_ascii=False)}
            told = {"role": "assistant", "content": called.answer}
            return self.conversation([*called.messages, made, result, told], functions)
        return self.conversation([*called.messages, made], functions)

    def _plainer(self, function: Row) -> Row:
        """The function as it is, or without descriptions of its parameters."""
        if self._random.random() < 0.4:
            return function
        parameters = function["parameters"]
        properties = {
            name: {key: value for key, value in schema.items() if key != "description"}
            for name, schema in parameters["properties"].items()
        }
        return {**function, "parameters": {**parameters, "properties": properties}}


def call(name: str, arguments: Row) -> Row:
    """An assistant's message with one call."""
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "id": "call00000", "function": function}],
    }


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+|[0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
