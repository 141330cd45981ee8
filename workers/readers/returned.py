"""The columns that bulkql adds to rows that come back. Readers ignore them, so that the rows can be sent again."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bulkql.workers.readers.formulas import GUARD, without_guard

ROW = "bulkql_row"
CODE = "bulkql_code"
PATH = "bulkql_path"
MESSAGE = "bulkql_message"
#: The text of a record that could not be read as a row; there only where some could not.
LINE = "bulkql_line"
#: What NDJSON has for code, path and message.
ERRORS = "bulkql_errors"

#: The columns behind those of the sender in CSV.
COLUMNS = (ROW, CODE, PATH, MESSAGE)
NAMES = frozenset({*COLUMNS, LINE, ERRORS})
#: The code of a row that was not written because the operation came to no good end.
SKIPPED = "SKIPPED"


def is_returned(header: Iterable[str]) -> bool:
    """Whether a file with this header went out with failed rows before."""
    return not NAMES.isdisjoint(header)


def guarded_header(names: Iterable[str], guarded: Collection[int]) -> list[str]:
    """A header whose columns say by a quote in front that some of their cells have one, against formulas.

    That outlives our own columns: whoever cuts them away sends a file that says it still.
    """
    return [f"{GUARD}{name}" if place in guarded else name for place, name in enumerate(names)]


def unguarded_header(header: Iterable[str], known: Collection[str]) -> tuple[list[str], list[bool]]:
    """What guarded_header and neutralisation made of a header: the names, and which columns have guarded cells.

    A name that the resource or the options know as it stands is nothing of ours.
    """
    names = list(header)
    is_ours = is_returned(names)
    found = [without_marks(name, known, is_ours) for name in names]
    return [name for name, _ in found], [is_ours or is_guarded for _, is_guarded in found]


def without_marks(name: str, known: Collection[str], is_ours: bool) -> tuple[str, bool]:
    """A name as its sender wrote it, and whether it says that its column has guarded cells."""
    if name in known:
        return name, False
    plain = without_guard(name)
    bare = without_guard(plain.removeprefix(GUARD))
    if plain not in known and bare in known:
        return bare, True
    return (plain if plain in known or is_ours else name), False
