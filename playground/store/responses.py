"""Stored responses of ``/v1/responses``: what was asked and answered, so that a later request can
go on from it. Knows the database; knows no HTTP and no model.

The oldest are removed beyond `MAX_RESPONSES`, and beyond `MAX_BYTES` of all together.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from playground.errors import UnknownResponse
from playground.store.database import Database
from playground.store.retention import remove_oldest
from playground.store.tables import StoredResponse

MAX_RESPONSES = 10_000
MAX_BYTES = 256 * 2**20
MAX_CHAIN = 1000
"""Responses that one may go on from, each from the one before."""
Item = dict[str, object]


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """A response with the input items that it answered; ``body`` is OpenAI's response object."""

    id: str
    previous_id: str | None
    input: Sequence[Item]
    body: Item

    @property
    def output(self) -> list[Item]:
        """The items of the answer."""
        output = self.body["output"]
        return output if isinstance(output, list) else []


class Responses:
    """The stored responses of one home. May be used from any thread."""

    def __init__(
        self,
        home: Path,
        url: str = "",
        *,
        most: int = MAX_RESPONSES,
        most_bytes: int = MAX_BYTES,
    ) -> None:
        self._database = Database(home, url)
        self._most = most
        self._most_bytes = most_bytes

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def keep(self, response: KeptResponse) -> None:
        """Store a response, and remove the oldest ones beyond the limits."""
        size = len(json.dumps([list(response.input), response.body], ensure_ascii=False).encode())
        with self._database.writing() as session:
            session.add(
                StoredResponse(
                    id=response.id,
                    previous_id=response.previous_id,
                    input=list(response.input),
                    body=response.body,
                    size=size,
                )
            )
            session.flush()
            remove_oldest(session, StoredResponse, self._most, self._most_bytes)

    def find(self, response_id: str) -> KeptResponse:
        """Return a response. Raises `UnknownResponse`."""
        with self._database.reading() as session:
            return _kept(_row(session, response_id))

    def conversation(self, response_id: str) -> list[Item]:
        """Return every item up to the end of a response: inputs and outputs, the earliest first.

        Raises `UnknownResponse` if it or one that it goes on from is not there any more.
        """
        return [item for each in self._chain(response_id) for item in (*each.input, *each.output)]

    def input_items(self, response_id: str) -> list[Item]:
        """Return every item that a response answered. Raises `UnknownResponse`."""
        *before, last = self._chain(response_id)
        items = [item for each in before for item in (*each.input, *each.output)]
        return [*items, *last.input]

    def delete(self, response_id: str) -> None:
        """Remove a response. Raises `UnknownResponse`."""
        with self._database.writing() as session:
            session.delete(_row(session, response_id))

    def _chain(self, response_id: str) -> list[KeptResponse]:
        chain: list[KeptResponse] = []
        wanted: str | None = response_id
        with self._database.reading() as session:
            while wanted is not None:
                if len(chain) == MAX_CHAIN:
                    raise UnknownResponse(wanted)
                chain.append(_kept(_row(session, wanted)))
                wanted = chain[-1].previous_id
        return chain[::-1]


def _row(session: Session, response_id: str) -> StoredResponse:
    found = session.scalar(select(StoredResponse).where(StoredResponse.id == response_id))
    if found is None:
        raise UnknownResponse(response_id)
    return found


def _kept(row: StoredResponse) -> KeptResponse:
    return KeptResponse(row.id, row.previous_id, row.input, row.body)
