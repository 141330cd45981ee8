"""Options of the Python API -> the same, each of its own kind; one of another kind is BadInput, as over GraphQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar

from bulkql.workers.errors import BadInput

Choice = TypeVar("Choice", bound=Enum)

#: What an option may be, and how a message says so.
KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("dry_run", "skip_existing", "delete_missing", "force"), ((bool,), "True or False")),
    **dict.fromkeys(("chunk_size", "max_rows_per_second", "max_deletes"), ((int,), "a whole number")),
    "max_delete_percent": ((int, float, Decimal), "a number"),
    "start_at": ((datetime,), "a datetime"),
    **dict.fromkeys(("label", "idempotency_key", "webhook_url"), ((str,), "a text")),
}


def checked(options: Mapping[str, Any], known: Iterable[str] | None = None) -> dict[str, Any]:
    """The options that are given, which None is not; raises BadInput. `known`: all that there are."""
    if known is not None and (unknown := [name for name in options if name not in known]):
        raise BadInput(f"{unknown[0]} is not an option here; the options are {', '.join(known)}.")
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name in KINDS:
            kinds, words = KINDS[name]
            # To Python, True is a whole number.
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise BadInput(f"{name} is {shown(value)}; give {words}.")
    return given


def choice(name: str, kind: type[Choice], value: object) -> Choice:
    """A member of an enum, which may be given as its text; raises BadInput."""
    try:
        return kind(value)
    except ValueError:
        raise BadInput(f"{name} is {shown(value)}; give one of {', '.join(one.value for one in kind)}.") from None


def names(name: str, value: Sequence[str] | None) -> list[str] | None:
    """A list of names; raises BadInput."""
    if value is None:
        return None
    check_is_list(name, value)
    if not all(isinstance(one, str) for one in value):
        raise BadInput(f"{name} is {shown(value)}; give a list of names.")
    return list(value)


def check_is_list(name: str, value: object) -> None:
    """Whether something is a list, and not a text, which Python would take for a list of its letters."""
    if isinstance(value, str):
        raise BadInput(f"{name} is {shown(value)}; give a list, such as [{shown(value)}].")
    if not isinstance(value, Sequence | Set):
        raise BadInput(f"{name} is {shown(value)}; give a list.")


def shown(value: object) -> str:
    """A value as a message quotes it."""
    return f"{value!r:.100}"


def kind_of(value: object) -> str:
    """What a value is, in a sentence."""
    return "None" if value is None else f"of type {type(value).__name__}"
