"""Attacks on signing in with a provider: each returns what sends it to a `Target`."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.playground.access.oidc_server import Claims
from tests.playground.access.senders import EVIL, Send
from tests.playground.access.target import Answer, Target

START = "/login/oidc"


def back_of(target: Target, browser: httpx.Client, start: str = START) -> str:
    """Sign in there; the address that the browser is sent back to."""
    begun = browser.get(start).headers["location"]
    return str(httpx.get(begun).headers["location"])


def told(target: Target, **told: Any) -> Answer:
    """What a browser gets whose provider says it so; see `OidcServer`."""
    target.provider.reset()
    for name, value in told.items():
        setattr(target.provider, name, value)
    with httpx.Client(base_url=target.url, timeout=60) as browser:
        reply = browser.get(back_of(target, browser))
    target.provider.reset()
    return Answer(reply.status_code, reply.text, dict(reply.headers))


def token_with(**change: object) -> Send:
    """A token with other claims."""
    return lambda target: told(target, change=lambda claims: claims | change)


def token_signed(sign: Callable[[Claims], str]) -> Send:
    """A token with another signature."""
    return lambda target: told(target, sign=sign)


def somebody_with(**claims: object) -> Send:
    """Somebody of whom the provider says this."""

    def send(target: Target) -> Answer:
        target.provider.reset()
        return told(target, claims=target.provider.claims | {"sub": "eve"} | claims)

    return send


def answer_twice(target: Target) -> Answer:
    """The same answer of the provider, in the same browser."""
    target.provider.reset()
    with httpx.Client(base_url=target.url, timeout=60) as browser:
        back = back_of(target, browser)
        cookie = dict(browser.cookies)
        assert browser.get(back).status_code == 303
        browser.cookies.update(cookie)
        reply = browser.get(back)
    return Answer(reply.status_code, reply.text, dict(reply.headers))


def answer_of_another(target: Target) -> Answer:
    """Eve's answer, which somebody else's browser is led to."""
    target.provider.reset()
    with (
        httpx.Client(base_url=target.url, timeout=60) as eve,
        httpx.Client(base_url=target.url, timeout=60) as other,
    ):
        other.get(START)
        reply = other.get(back_of(target, eve))
    return Answer(reply.status_code, reply.text, dict(reply.headers))


def led_elsewhere(target: Target) -> Answer:
    """Where signing in with a provider leads to."""
    target.provider.reset()
    with httpx.Client(base_url=target.url, timeout=60) as browser:
        back = back_of(target, browser, f"{START}?next={EVIL}&redirect_uri={EVIL}")
        reply = browser.get(f"{back}&next={EVIL}")
    is_here = reply.status_code == 303 and reply.headers["location"] == "../../"
    return Answer(403 if is_here and "evil" not in back else 200, reply.text)
