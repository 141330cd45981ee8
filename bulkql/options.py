"""Options of the Python API -> the same, each of its own kind; one of another kind is BadInput, as over GraphQL.

What is wrong with them is told in their names, where messages of the service have GraphQL's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar

from bulkql.schema.wording import Wording
from bulkql.workers.errors import BadInput, BulkError

Choice = TypeVar("Choice", bound=Enum)

#: What an option may be, and how a message says so.
KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("dry_run", "skip_existing", "delete_missing", "force"), ((bool,), "True or False")),
    **dict.fromkeys(("chunk_size", "max_rows_per_second", "max_deletes"), ((int,), "a whole number")),
    "max_delete_percent": ((int, float, Decimal), "a number"),
    "start_at": ((datetime,), "a datetime"),
    **dict.fromkeys(("label", "idempotency_key", "webhook_url"), ((str,), "a text")),
}


def with_value(option: str, value: str) -> str:
    """dry_run=True, max_deletes=5, on_error="REJECT_ALL"."""
    if value == "true":
        return f"{option}=True"
    return f"{option}={value}" if value[0].isdigit() else f'{option}="{value}"'


#: How messages of the service are told to Python code.
PYTHON = Wording(
    names={
        **{
            re.sub(r"_(.)", lambda found: found[1].upper(), name): name
            for name in (
                *("match_by", "update_fields", "delete_missing", "max_deletes", "max_delete_percent", "on_error"),
                *("dry_run", "chunk_size", "skip_existing", "start_at", "max_rows_per_second", "webhook_url"),
                *("idempotency_key", "empty_cells", "mode", "compression"),
            )
        },
        "applyOperation": "bulkql.apply",
        "revertOperation": "bulkql.revert",
    },
    with_value=with_value,
    with_text=lambda option, text: f"{option}={text!r}",
    key=lambda fields: f"[{', '.join(map(repr, fields))}]",
)


@contextmanager
def refused_in_python() -> Iterator[None]:
    """What the service refuses here is told in the words of the Python API."""
    try:
        yield
    except BulkError as error:
        error.args = (PYTHON.message(str(error)), *error.args[1:])
        raise


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
