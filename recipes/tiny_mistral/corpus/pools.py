"""Words for names, things and values, with separate lists for the held-out split."""

from recipes.tiny_mistral.corpus.draw import Draw, words

FIRST_NAMES = words(
    "Anna Paul Maria Tom Lucia Omar Nina Hugo Clara Igor Emma Louis Sofia David Julie Peter Alice"
    " Marco Lea Felix Zoé René Jürgen José Łukasz Mei Yuki Adam Ben Chloe Daniel Eva Frank Grace"
    " Henry Ivan Jack Kate Laura Max Nora Oliver Patricia Quentin Rosa Simon Tina Ursula Victor"
    " Walter Xavier Yvonne Zach Amina Bilal Chen Dmitri Elena Fatima Giulia Hassan Ingrid Jorge"
    " Karim Leila Mohamed Natalia Olga Pablo Rania Sven Tomas Vera Wei Yara Andrea Stefan Mirko"
)
HELD_FIRST_NAMES = words("Bruno Iris Nadia Oscar Elsa Théo Ramón Käthe")
PLACES = words(
    "Paris London Rome Berlin Madrid Lyon Tokyo Oslo Vienna Dublin Lisbon Prague Milan Geneva"
    " Cairo Boston Zürich Málaga Orléans Köln Athens Amsterdam Brussels Barcelona Chicago Denver"
    " Edinburgh Florence Glasgow Hamburg Istanbul Jakarta Kyoto Manchester Naples Osaka Palermo"
    " Quito Riga Stockholm Toronto Utrecht Valencia Warsaw York Zagreb Bordeaux Toulouse Nantes"
    " Lille Bremen Dresden Leipzig Stuttgart Bilbao Granada Dakar Lagos Nairobi Sydney Perth Lima"
    " Bogota"
)
HELD_PLACES = words("Ghent Porto Seville Turin Krakow Nîmes Münster Leeds")
NOUNS = words(
    "weather forecast hotel ticket train flight recipe song movie invoice order parcel meeting"
    " alarm reminder note message email photo report stock price currency route map taxi room"
    " table book lamp heater door camera playlist contract salary budget loan account balance"
    " visit review tide wind traffic parking menu score match team course lesson exam grade"
    " patient dose appointment event task file user customer product timer news temperature"
    " article letter package bottle window engine bridge market office school library garage"
    " kitchen bicycle scooter boat plane airport station harbour island forest beach river"
    " mountain valley farm factory warehouse store shop bakery pharmacy hospital clinic court"
    " bank pension policy claim refund payment receipt bill tax fee fine rent lease chart graph"
    " record entry list folder archive backup server network router cable pack screen keyboard"
    " mouse speaker microphone headset laptop phone tablet watch clock calendar diary notebook"
    " pencil paper poster painting statue theatre opera band album track hall stage festival"
    " holiday trip cruise safari tour guide visa passport suitcase locker key lock safe gate"
    " fence roof wall ceiling carpet sofa chair desk shelf mirror oven fridge toaster kettle dish"
    " meal lunch dinner snack coupon discount bonus prize trophy badge certificate diploma quiz"
    " survey poll vote campaign project sprint deadline milestone bug release build test"
)
HELD_NOUNS = words(
    "ferry museum garden battery humidity voucher shipment concert printer subscription"
    " aquarium medal sensor podcast"
)
ADJECTIVES = words(
    "daily weekly local cheap fast public private current next last new old monthly annual"
)
ATTRIBUTES = words(
    "size level owner status brand weight height speed mode label category region street country"
    " zone floor unit limit priority format style flavor genre author version code rate length"
    " width phase color price name city volume pressure temperature humidity depth distance"
    " duration interval frequency capacity balance discount tax total count index rank score"
    " grade class group team department branch section chapter page line column row seat gate"
    " terminal carrier vendor supplier manufacturer model series edition release engine fuel"
    " range memory storage screen resolution director artist album publisher editor subject topic"
    " keyword tag note comment reason source target origin destination sender receiver contact"
    " phone fax address building apartment district province state gender age title role position"
    " salary bonus allergy diagnosis treatment medicine dosage symptom ingredient calories"
    " portion material fabric pattern finish shape"
)
HELD_ATTRIBUTES = words(
    "altitude voltage nickname species platform season currency texture postcode diameter"
)
COLOURS = words("red blue green yellow black white purple orange")
SPOKEN = words("French English Spanish German Italian")
MONTHS = words(
    "January February March April May June July August September October November December"
)
CODE_LETTERS = "ABCDEFGHKLMNPRSTXZ"
FOODS = words("pizza soup rice bread cheese apples pasta salad fish cake honey")

# kind of value, statement, question, answer
STATED = (
    ("place", "I live in {}.", "Where do I live?", "You live in {}."),
    ("place", "I was born in {}.", "Where was I born?", "You were born in {}."),
    (
        "color",
        "My favorite color is {}.",
        "What is my favorite color?",
        "Your favorite color is {}.",
    ),
    ("food", "I like {}.", "What do I like?", "You like {}."),
    ("small", "I am {} years old.", "How old am I?", "You are {} years old."),
    ("person", "My dog is called {}.", "What is my dog called?", "Your dog is called {}."),
    ("person", "My cat is named {}.", "What is the name of my cat?", "Your cat is named {}."),
    ("person", "My sister is {}.", "Who is my sister?", "Your sister is {}."),
    ("code", "My code is {}.", "What is my code?", "Your code is {}."),
    ("time", "My train leaves at {}.", "When does my train leave?", "Your train leaves at {}."),
    ("word", "The password is {}.", "What is the password?", "The password is {}."),
    ("num", "My lucky number is {}.", "What is my lucky number?", "Your lucky number is {}."),
)

# Only facts that take an invented value: colours and ages occur in training.
HELD_STATED = tuple(row for row in STATED if row[0] in ("place", "person", "word"))


def value(draw: Draw, kind: str) -> str | int | float | bool:
    """Draw a value of this kind from the split's pool."""
    if kind == "small":
        return draw.number(1, 20)
    if kind == "num":
        return draw.number(1, 999)
    if kind == "decimal":
        return draw.number(1, 99) + draw.number(1, 9) / 10
    if kind == "flag":
        return draw.chance(0.5)
    return plain_value(draw, kind)


def plain_value(draw: Draw, kind: str) -> str:
    """Draw a value of this kind as text."""
    makers = {
        "place": lambda: _name_or(draw, PLACES, HELD_PLACES),
        "person": lambda: _name_or(draw, FIRST_NAMES, HELD_FIRST_NAMES),
        "date": lambda: _date(draw),
        "time": lambda: f"{draw.number(1, 23)}:{draw.pick(('00', '15', '30', '45'))}",
        "small": lambda: str(draw.number(1, 20)),
        "num": lambda: str(draw.number(1, 999)),
        "code": lambda: _code(draw),
        "color": lambda: draw.pick(COLOURS),
        "lang": lambda: draw.pick(SPOKEN),
        "food": lambda: draw.pick(FOODS),
        "word": lambda: draw.word() if draw.held or draw.chance(0.5) else draw.pick(NOUNS),
        "title": lambda: f"{draw.name()} {draw.name()}",
        "email": lambda: f"{draw.word()}@{draw.word()}.{draw.pick(('com', 'org', 'fr', 'de'))}",
        "any": lambda: plain_value(draw, draw.pick(("word", "place", "code", "color", "title"))),
    }
    return makers[kind]()


def _name_or(draw: Draw, train: tuple[str, ...], held: tuple[str, ...]) -> str:
    return draw.name() if draw.chance(0.6) else draw.from_split(train, held)


def _date(draw: Draw) -> str:
    day = draw.number(1, 28)
    iso = f"2026-{draw.number(1, 12):02d}-{day:02d}"
    return draw.pick((f"{day} {draw.pick(MONTHS)}", iso, "tomorrow", "today", "Monday", "Friday"))


def _code(draw: Draw) -> str:
    letters = "".join(draw.pick(CODE_LETTERS) for _ in range(draw.number(1, 2)))
    return letters + str(draw.number(10, 9999))


def noun(draw: Draw) -> str:
    """Draw a thing: at times with an adjective, at times an invented word."""
    if draw.held:
        word = draw.pick(HELD_NOUNS) if draw.chance(0.5) else draw.word(3)
    else:
        word = draw.pick(NOUNS) if draw.chance(0.6) else draw.word()
    return f"{draw.pick(ADJECTIVES)} {word}" if draw.chance(0.25) else word


def attribute(draw: Draw) -> str:
    """Draw a property name, at times an invented one."""
    if draw.chance(0.45):
        return draw.word()
    return draw.from_split(ATTRIBUTES, HELD_ATTRIBUTES)
