"""Short texts of everyday kinds, drawn with names and numbers that are new each time, and their
fields: so that values are copied from the text and none is known by heart. Knows no prompt.
"""

import random
import re
from collections.abc import Callable
from typing import Any

PLACEHOLDER = re.compile(r"\{(\w+):(\w+)\}")
FIRST = (
    "Mira Tomas Aylin Greta Ruben Nadia Oskar Yuki Pablo Ines Farid Lena Kofi Marta Sven Priya Hugo"
    " Zeynep Dario Elin Amara Bruno Chiara Emil Fatou Goran Hana Igor Jolanda Karim Livia Mateo"
)
LAST = (
    "Stone Keller Okafor Lindqvist Moreau Tanaka Alvarez Novak Petrov Byrne Haddad Silva Brandt"
    " Kowalski Ferrari Nyberg Castillo Ahmed Jansen Rossi Dimitrov Weaver Holm Achebe Sato Duarte"
)
CITIES = (
    "Oslo Lisbon Graz Leeds Turin Kyoto Malmö Ghent Porto Utrecht Bergen Seville Tallinn Lyon Cork"
    " Salzburg Nairobi Recife Denver Halifax Antalya Split Bologna Aarhus Pune Busan Cusco"
)
PRODUCTS = (
    "desk lamps", "garden chairs", "espresso cups", "wool blankets", "bike pumps", "wall clocks",
    "rain jackets", "paper rolls", "screwdrivers", "yoga mats", "oak shelves", "water bottles",
)  # fmt: skip
TRADES = (
    "nurse", "baker", "carpenter", "teacher", "pilot", "gardener", "lawyer", "electrician",
    "software developer", "librarian", "chemist", "bus driver", "architect", "translator",
)  # fmt: skip
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
MONTHS = "January February March April May June July August September October November"
COLORS = "red blue green black white grey yellow orange purple silver"
DISHES = (
    "lentil soup", "margherita pizza", "pad thai", "fish tacos", "mushroom risotto", "beef stew",
    "apple pie", "falafel", "chicken curry", "onion rings", "Greek salad",
)  # fmt: skip
FIRMS = "Norvik Brightwell Halden Lumera Castor Vantage Oakridge Solano Meridian Tessel"


def _word(rng: random.Random, words: str) -> str:
    return rng.choice(words.split())


def _code(rng: random.Random) -> str:
    letters = "".join(rng.choices("ABCDEFGHKLMNPRSTX", k=rng.choice((1, 2, 3))))
    return f"{letters}{rng.choice(('-', ''))}{rng.randint(100, 99999)}"


def _mail(rng: random.Random) -> str:
    first, last = _word(rng, FIRST).lower(), _word(rng, LAST).lower()
    return f"{first}{rng.choice(('.', '_', ''))}{last}@{_word(rng, FIRMS).lower()}.example"


def _clock(rng: random.Random) -> str:
    hour, minute = rng.randint(1, 12), rng.choice((0, 10, 15, 30, 45, 50))
    exact = f"{hour + rng.choice((0, 8))}:{minute:02}"
    return rng.choice((exact, f"{hour} pm", f"{hour} am", exact))


def _price(rng: random.Random) -> float:
    return rng.choice((rng.randint(3, 900), rng.randint(300, 90000) / 100))


POOLS: dict[str, tuple[str, Callable[[random.Random], Any]]] = {
    "person": ("string", lambda rng: f"{_word(rng, FIRST)} {_word(rng, LAST)}"),
    "first": ("string", lambda rng: _word(rng, FIRST)),
    "city": ("string", lambda rng: _word(rng, CITIES)),
    "trade": ("string", lambda rng: rng.choice(TRADES)),
    "product": ("string", lambda rng: rng.choice(PRODUCTS)),
    "color": ("string", lambda rng: _word(rng, COLORS)),
    "dish": ("string", lambda rng: rng.choice(DISHES)),
    "day": ("string", lambda rng: _word(rng, DAYS)),
    "date": ("string", lambda rng: f"{rng.randint(1, 28)} {_word(rng, MONTHS)}"),
    "time": ("string", _clock),
    "code": ("string", _code),
    "mail": ("string", _mail),
    "phone": ("string", lambda rng: f"0{rng.randint(20, 99)} {rng.randint(100000, 9999999)}"),
    "firm": (
        "string",
        lambda rng: f"{_word(rng, FIRMS)} {rng.choice(('Ltd', 'GmbH', 'Inc', 'AB'))}",
    ),
    "age": ("integer", lambda rng: rng.randint(4, 97)),
    "few": ("integer", lambda rng: rng.randint(2, 14)),
    "many": ("integer", lambda rng: rng.randint(11, 4000)),
    "year": ("integer", lambda rng: rng.randint(1950, 2031)),
    "price": ("number", _price),
}
"""The type of a value and how one is drawn."""

TEMPLATES = (
    "{name:person} is {age:age} years old and lives in {city:city}.",
    "{name:person}, {age:age}, works as a {job:trade} in {city:city}.",
    "My name is {name:person}, I am a {job:trade} and my e-mail is {email:mail}.",
    "Please call {name:person} back at {phone:phone} before {time:time}.",
    "You can reach {name:person} at {email:mail} or {phone:phone}.",
    "We ordered {quantity:few} {item:product} from {supplier:firm}, order {order_id:code}.",
    "Invoice {invoice_number:code} of {date:date}: {quantity:few} {item:product}, "
    "total {total:price} euros.",
    "hi, its {sender:first}, the meeting with {customer:firm} is moved to {day:day} at {time:time}",
    "Flight {flight:code} leaves {origin:city} at {departure:time} and lands in "
    "{destination:city}.",
    "Table for {guests:few} on {day:day} at {time:time}, under the name {name:person}.",
    "{quantity:few} times {dish:dish} to {city:city}, please, ring at {name:person}",
    "{employee:person} joined {company:firm} in {year:year} as a {position:trade}.",
    "For sale: {color:color} bicycle from {year:year}, {price:price} dollars, "
    "pick up in {city:city}.",
    "The package {tracking_number:code} for {recipient:person} arrives on {date:date}.",
    "{company:firm} has {employees:many} employees and its head office is in {city:city}.",
    "Room {room:many} is booked for {guest:person} from {arrival:date} to {departure:date}.",
    "Patient {patient:person}, born {birth_year:year}, appointment on {date:date} at {time:time}.",
    "Ticket {ticket:code}: {reporter:first} says the {color:color} printer in {city:city} "
    "is broken.",
    "{winner:person} won the race in {city:city} ahead of {second:person}.",
    "The course starts on {start:date}, costs {price:price} and has {seats:few} seats left.",
    "Transfer {amount:price} to {recipient:person}, reference {reference:code}.",
    "Train {train:code} to {destination:city} goes at {time:time} from platform {platform:few}.",
    "{author:person} wrote the book in {year:year}; it has {pages:many} pages.",
    "{teacher:person} teaches {students:few} students every {day:day} at {time:time}.",
    "I lost a {color:color} umbrella on the train to {city:city} on {day:day}, {name:first} here.",
    "Rent is {rent:price} a month, {rooms:few} rooms, free from {date:date}, "
    "contact {contact:mail}.",
    "{seller:firm} offers {item:product} at {unit_price:price} each, at least {minimum:few}.",
    "The concert in {city:city} on {date:date} sold {tickets:many} tickets.",
    "Dear {recipient:first}, your password for account {account:code} ends on {date:date}.",
    "{driver:person} drives the {color:color} van {plate:code} to {destination:city} on {day:day}.",
)


def text_with_fields(rng: random.Random) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Draw a text, some of its fields' values, and these fields' JSON types; in shuffled order."""
    template = rng.choice(TEMPLATES)
    values: dict[str, Any] = {}
    types: dict[str, str] = {}
    for name, pool in PLACEHOLDER.findall(template):
        types[name], draw = POOLS[pool]
        values[name] = draw(rng)
    text = PLACEHOLDER.sub(lambda found: _shown(values[found[1]]), template)
    names = list(values)
    rng.shuffle(names)
    names = names[: max(2, len(names) - rng.choice((0, 0, 0, 1, 2)))]
    return text, {name: values[name] for name in names}, {name: types[name] for name in names}


def _shown(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
