"""With DEBUG, the statements that Django remembers -> the same, cut where they would hold rows."""

from __future__ import annotations

from collections import deque
from typing import Any

#: Characters of a statement that are remembered.
CHARACTERS = 4_000


class Remembered(deque[dict[str, Any]]):
    """Django's log of a connection, which it keeps for as long as a request takes, and in a worker for ever.

    It has the last 9,000 statements with their parameters, and one that stores a chunk has megabytes of those.
    """

    def append(self, statement: dict[str, Any]) -> None:
        text = statement["sql"]
        if text is not None and len(text) > CHARACTERS:
            statement = {**statement, "sql": f"{text[: CHARACTERS - 1]}…"}
        super().append(statement)


def remember_little(connection: Any, **_: Any) -> None:
    """Receives Django's signal connection_created."""
    if not isinstance(connection.queries_log, Remembered):
        connection.queries_log = Remembered(connection.queries_log, maxlen=connection.queries_log.maxlen)
