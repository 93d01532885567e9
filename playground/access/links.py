"""Links to a demo: one model or one comparison, for some days and some answers, revoked at once.

The address of a link is signed with the link's own key, its end included; what it opens and what is
left of it is looked up at every request. Knows no HTTP and no page.
"""

import asyncio
import base64
import hashlib
import hmac
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, get_args

from playground.access.identity import current_identity
from playground.errors import InvalidRequest, LinkClosed, PlaygroundError, UnknownLink
from playground.protocol import Request, StreamEvent
from playground.store.accounts import Accounts
from playground.store.links import Link, Links, LinkTab

DAY_S: Final = 86_400
LONGEST_DAYS: Final = 3650
LONGEST_PROMPT: Final = 20_000
MOST_MODELS: Final = 6
"""As many as Compare has lanes."""
TABS: Final[tuple[LinkTab, ...]] = get_args(LinkTab)
TOKEN: Final = re.compile(
    r"(?P<id>[0-9a-f]{12})\.(?P<end>[0-9a-f]{1,16})\.(?P<signature>[\w-]{43})"
)
UNKNOWN = "this link is not valid: it was not made here, or it was changed on the way"
CLOSED: Final = (
    ("revoked", "this link was revoked"),
    ("expired", "this link has expired"),
    ("used up", "all answers of this link are used up"),
)


class DemoLinks:
    """The links of one home. May be used from any thread."""

    def __init__(self, links: Links, accounts: Accounts | None = None) -> None:
        self._links = links
        self._accounts = accounts

    def create(
        self,
        models: Sequence[str],
        tab: str = "chat",
        *,
        days: float = 7.0,
        system_prompt: str | None = None,
        answers: int | None = None,
        tokens: int | None = None,
    ) -> Link:
        """Make a link. Raises `InvalidRequest` with the field that is wrong; whether a model of
        that name is served is known when the link is opened."""
        named = tuple(dict.fromkeys(name.strip() for name in models if name.strip()))
        most = MOST_MODELS if tab == "compare" else 1
        if tab not in TABS:
            raise InvalidRequest("tab", f"{tab!r} is none of {', '.join(TABS)}")
        if not 1 <= len(named) <= most:
            wanted = "one model" if most == 1 else f"1 to {most} models"
            raise InvalidRequest("models", f"a link to {tab} takes {wanted}, not {len(named)}")
        if any(len(name) > 256 for name in named):
            raise InvalidRequest("models", "a name has more than 256 characters")
        if not 0 < days <= LONGEST_DAYS:
            raise InvalidRequest("days", f"{days:g} is not more than 0 and at most {LONGEST_DAYS}")
        if system_prompt is not None and len(system_prompt) > LONGEST_PROMPT:
            raise InvalidRequest("system_prompt", f"has more than {LONGEST_PROMPT} characters")
        for field, limit in (("answers", answers), ("tokens", tokens)):
            if limit is not None and not 1 <= limit < 2**31:
                raise InvalidRequest(field, f"{limit} is not between 1 and {2**31 - 1}")
        link = self._links.add(
            tab if tab == "compare" else "chat", named, float(int(time.time() + days * DAY_S)),
            system_prompt=system_prompt or None, max_answers=answers, max_tokens=tokens,
        )  # fmt: skip
        self._note("link added", f"{link.id} {link.tab}: {', '.join(link.models)}")
        return link

    def all(self) -> list[Link]:
        """Return all links, the newest first, those that are closed too."""
        return self._links.all()

    def revoke(self, link_id: str) -> Link:
        """Make a link open nothing from now on, in running servers too. Raises `UnknownLink`."""
        link = self._links.revoke(link_id)
        self._note("link revoked", f"{link.id} {link.tab}: {', '.join(link.models)}")
        return link

    def opened(self, token: str, *, anew: bool = False) -> Link:
        """Return the link of an address, by the token in it. ``anew``: somebody opens it; who is
        inside already finds out at the next answer that there are no more.

        Raises `LinkClosed` for one that is forged, revoked or expired, or used up where it is
        opened anew.
        """
        parts = TOKEN.fullmatch(token)
        try:
            link = self._links.find(parts["id"]) if parts else None
        except UnknownLink:
            link = None
        if link is None or not hmac.compare_digest(token_of(link).encode(), token.encode()):
            raise LinkClosed(UNKNOWN)
        if link.state != "open" and (anew or link.state != "used up"):
            raise _closed(link)
        return link

    async def watch(
        self, _request: Request, _server: str, events: AsyncGenerator[StreamEvent, None]
    ) -> AsyncGenerator[StreamEvent, None]:
        """Pass the stream of an answer on, counted for the link that whoever asks came by.

        Raises `LinkClosed` where nothing is left of it. An answer that fails before it begins is
        given back.
        """
        link, tokens, has_begun = current_identity().link, 0, False
        if link is None:
            async with aclosing(events) as stream:
                async for event in stream:
                    yield event
            return
        if not await asyncio.to_thread(self._links.begin_answer, link.id):
            raise _closed(await asyncio.to_thread(self._links.find, link.id))
        try:
            async with aclosing(events) as stream:
                async for event in stream:
                    has_begun = True
                    # Another server says at the end what an answer took; a piece is a token.
                    tokens = event.usage.total_tokens if event.usage else tokens + 1
                    yield event
        except PlaygroundError:
            if not has_begun:
                await asyncio.to_thread(self._links.give_back, link.id)
            raise
        finally:
            if tokens:
                await asyncio.shield(asyncio.to_thread(self._links.add_tokens, link.id, tokens))

    def close(self) -> None:
        """Close the database."""
        self._links.close()

    def _note(self, what: str, about: str) -> None:
        if self._accounts:
            self._accounts.note(current_identity().name, what, about)


def token_of(link: Link) -> str:
    """Return what the address of a link carries: its id, its end, and the signature of both."""
    signed = f"{link.id}.{int(link.expires):x}"
    digest = hmac.new(bytes.fromhex(link.key), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _closed(link: Link) -> LinkClosed:
    return LinkClosed(dict(CLOSED).get(link.state, dict(CLOSED)["used up"]))
