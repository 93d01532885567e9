"""Rows of the tenth run: drawn requests and texts, natural wishes whose slots have other names.

    python -m recipes.smollm2.tenth --natural FOLDER --home FILE --functions FILE \\
        --own recipes/smollm2/own --chat FILE OUT

The held-out domains, services and home intents are not among them; all intents of SNIPS are.
Knows no model.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recipes.smollm2 import rows as sets
from recipes.smollm2 import sentences
from recipes.smollm2.drawer import EXTRACTIONS, Drawer, Row, call
from recipes.smollm2.requests import Form, draw_function, draw_request, forms_of
from recipes.smollm2.sentences import Wish

REFUSED = 0.22
"""Share of drawn requests that none of the functions is for."""
WORLDS = 24
SERVICE_CALLS = 1100
DROPPED = 0.15
"""Share of slots that a world's functions do not have."""
OTHER_NAMES = {
    "album": "record", "artist": "singer band musician", "artist_name": "artist singer band",
    "city": "town place location", "country": "nation", "state": "region province",
    "condition_description": "weather_condition sky kind_of_weather",
    "condition_temperature": "feels_like temperature_word warmth",
    "current_location": "here my_position", "geographic_poi": "landmark sight park_or_place",
    "entity_name": "item title what", "genre": "style music_genre kind",
    "music_item": "kind_of_music item_type what", "object_name": "title work_name name",
    "object_type": "kind work_type type_of_object",
    "playlist": "playlist_name list_name target_list",
    "playlist_owner": "owner whose", "service": "app platform provider", "sort": "order sorting",
    "spatial_relation": "nearness distance_word how_near", "timeRange": "time when date_or_time",
    "track": "song title", "year": "decade period", "app_name": "app program",
    "audiobook_author": "author writer", "audiobook_name": "book title",
    "business_name": "company firm place_name", "business_type": "kind_of_business shop_kind",
    "change_amount": "amount level_change by", "color_type": "color colour", "date": "day when",
    "definition_word": "word term",
    "device_type": "device appliance", "email_address": "address mail",
    "email_folder": "folder mailbox", "event_name": "event title appointment",
    "food_type": "food dish cuisine", "game_name": "game", "general_frequency": "repeat how_often",
    "house_place": "room place_in_house", "ingredient": "main_ingredient", "list_name": "list",
    "meal_type": "meal", "media_type": "source medium", "movie_name": "film title",
    "movie_type": "film_genre kind_of_film", "music_descriptor": "mood description",
    "music_genre": "genre style", "news_topic": "topic subject", "order_type": "delivery_kind",
    "person": "name who contact", "personal_info": "detail info", "place_name": "place city where",
    "player_setting": "setting mode", "playlist_name": "playlist", "podcast_name": "podcast show",
    "podcast_descriptor": "episode which_episode", "radio_name": "station channel",
    "relation": "relative family_member", "song_name": "song track title", "time": "at clock_time",
    "time_zone": "zone", "timeofday": "part_of_day", "transport_agency": "carrier operator",
    "transport_name": "line vehicle_name", "transport_type": "vehicle means",
    "weather_descriptor": "weather condition", "currency_name": "currency",
    "coffee_type": "coffee", "cooking_type": "method", "alarm_type": "alarm",
}  # fmt: skip


def worlds(rng: random.Random, wishes: Sequence[Wish], count: int) -> Iterator[list[Wish]]:
    """The wishes, ``count`` times: every second time with slots renamed and left out anew."""
    slots = sorted({slot for wish in wishes for slot in wish.slots})
    for number in range(count):
        if number % 2 == 0:
            yield list(wishes)
            continue
        names: dict[str, str] = {}
        for slot in slots:
            known = OTHER_NAMES.get(slot, "").split()
            name = rng.choice(known) if known and rng.random() < 0.5 else slot
            names[slot] = slot if name in names.values() or name in slots else name
        dropped = {slot for slot in slots if rng.random() < DROPPED}
        yield [
            replace(
                wish,
                slots={names[k]: value for k, value in wish.slots.items() if k not in dropped},
            )
            for wish in wishes
        ]


def drawn_session(
    drawer: Drawer, rng: random.Random, every: Sequence[Form], strangers: Sequence[Row]
) -> Row:
    """One to four drawn requests to the same functions, some to none of them."""
    forms = rng.sample(every, rng.choices((1, 2, 3, 4), (3, 3, 3, 2))[0])
    known = [(form, *draw_function(rng, form)) for form in forms]
    functions = [function for _, function, _ in known]
    absent = [form for form in every if form not in forms]
    asked = rng.sample(known, rng.choice((1, min(2, len(known)))))
    messages: list[Row] = []
    for _ in range(rng.choice((1, 2, 2, 3, 4))):
        if rng.random() < REFUSED:
            form = rng.choice(absent)
            _, names = draw_function(rng, form)
            text, _ = draw_request(rng, form, names)
            messages += [{"role": "user", "content": text}, drawer.refusal()]
            continue
        form, function, names = rng.choice(asked)
        text, arguments = draw_request(rng, form, names)
        order = [name for name in function["parameters"]["properties"] if name in arguments]
        made = call(function["name"], {name: arguments[name] for name in order})
        messages += [{"role": "user", "content": text}, made, drawer.result()]
    if strangers and rng.random() < 0.2:
        functions.append(rng.choice(strangers))
    for _, function, _ in known:
        _require(function, messages, rng)
    return drawer.conversation(messages, functions)


def _require(function: Row, messages: Sequence[Row], rng: random.Random) -> None:
    """Half of the time, have a function require two parameters that every call here gives."""
    made = [each["function"] for message in messages for each in message.get("tool_calls", ())]
    given = [json.loads(each["arguments"]) for each in made if each["name"] == function["name"]]
    always = [
        name
        for name in function["parameters"]["properties"]
        if all(name in arguments for arguments in given)
    ]
    if always and rng.random() < 0.5:
        function["parameters"]["required"] = always[:2]


def drawn_extraction(drawer: Drawer, rng: random.Random, every: Sequence[Form]) -> Row:
    """One to three drawn requests as texts, with the schema of what all of them say."""
    form = rng.choice(every)
    function, names = draw_function(rng, form)
    request = rng.choice(form.requests)
    alone = replace(form, requests=(request,))
    drawn = [draw_request(rng, alone, names) for _ in range(rng.choice((1, 2, 3)))]
    fields = [name for name in function["parameters"]["properties"] if name in drawn[0][1]]
    drawn = [each for each in drawn if set(each[1]) == set(fields)]
    properties = {name: function["parameters"]["properties"][name] for name in fields}
    schema: Row = {"type": "object", "properties": properties, "required": fields}
    texts = [(text, {name: values[name] for name in fields}) for text, values in drawn]
    row = drawer.filled(texts[0][0], schema, texts[0][1])
    for text, values in texts[1:]:
        told = rng.choice(EXTRACTIONS).format(text=text)
        answer = json.dumps(values, ensure_ascii=False)
        row["messages"] += [
            {"role": "user", "content": told},
            {"role": "assistant", "content": answer},
        ]
    return row


def natural_rows(drawer: Drawer, options: argparse.Namespace, rng: random.Random) -> list[Row]:
    """Natural wishes, in worlds of slots' names, and calls of services."""
    clinc = [wish for wish in sentences.clinc(options.natural) if not sets.is_held_out(wish)]
    media = sentences.snips(options.natural)
    home = [wish for wish in sentences.home(options.home) if not sets.is_held_out(wish)]
    unlike = [wish for wish in home if wish.domain in sets.UNLIKE_MEDIA]
    rows = sets.wish_rows(drawer, clinc, (), 350, rng) + sets.sessions(drawer, clinc, (), 800)
    for world in worlds(rng, media, WORLDS):
        rows += sets.wish_rows(drawer, world, unlike, 14, rng)
        rows += sets.sessions(drawer, world, unlike, 22)
        rows += sets.extractions(drawer, world, 14, rng)
    for world in worlds(rng, home, WORLDS):
        rows += sets.wish_rows(drawer, world, (), 10, rng)
        rows += sets.sessions(drawer, world, (), 20)
        rows += sets.extractions(drawer, world, 10, rng)
    calls = sentences.services(options.natural)
    kept = [each for each in calls if each.service not in sets.HELD_OUT_SERVICES]
    return rows + [drawer.service(call) for call in rng.sample(kept, SERVICE_CALLS)]


def own_rows(drawer: Drawer, options: argparse.Namespace, rng: random.Random) -> list[Row]:
    """Own rows of each kind, system prompts twice, drawn texts and requests, plain questions."""
    requests: list[dict[str, Any]] = sets.lines_of(options.own / "tools.jsonl")
    strangers = sets.strange_functions(options.functions)
    every = forms_of(options.own / "forms.jsonl")
    rows = sets.own_rows(drawer, options.own, rng, 600)
    rows += sets.lines_of(options.own / "system.jsonl")
    rows += sets.drawn_texts(drawer, requests, 350, rng)
    rows += [drawn_session(drawer, rng, every, strangers) for _ in range(900)]
    rows += [drawn_extraction(drawer, rng, every) for _ in range(300)]
    return rows + sets.chat_rows(drawer, options.chat, options.own, rng)


def main() -> None:
    """Write the rows, shuffled."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("natural", "home", "functions", "own", "chat"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    drawer = Drawer(options.seed, sets.strange_functions(options.functions))
    rows = natural_rows(drawer, options, rng) + own_rows(drawer, options, rng)
    sets.write_rows(rows, options.out, rng, sets.MAX_CHARACTERS)


if __name__ == "__main__":
    main()
