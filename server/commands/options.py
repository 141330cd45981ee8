"""What options of `bulkql import` say, each and together, and GraphQL's names for them -> what the user typed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import typer

from bulkql.schema.wording import Wording

#: The verbs that an option is for.
OF_VERBS = {
    "--match-by": ("update", "replace", "upsert", "delete", "sync"),
    "--update-fields": ("upsert", "sync"),
    "--skip-existing": ("create",),
    "--where": ("sync",),
    "--delete-missing": ("sync",),
    "--max-deletes": ("sync",),
    "--max-delete-percent": ("sync",),
}
#: What writes all rows in one transaction, which would hold its locks for longer.
WHOLE = ("--dry-run", "--on-error reject-all")
#: Names of GraphQL that are options and commands here.
SPELLINGS = {
    re.sub(r"-(.)", lambda found: found[1].upper(), name): f"--{name}"
    for name in (
        *("match-by", "update-fields", "skip-existing", "delete-missing", "max-deletes", "max-delete-percent"),
        *("on-error", "dry-run", "chunk-size", "idempotency-key", "start-at", "max-rows-per-second", "webhook-url"),
        *("unknown-columns", "short-records", "null-values", "empty-cells", "date-format", "true-values"),
        *("false-values", "header-row", "where", "order", "fields", "format", "delimiter", "encoding", "sheet"),
        *("decimal", "label", "compression", "force"),
    )
} | {
    "columns": "--map",
    "retryOperation": "`bulkql retry`",
    "applyOperation": "`bulkql apply`",
    "revertOperation": "`bulkql revert`",
}
#: Variable '$input' has invalid value at .financialTransactions.matchBy[0]:
PLACE = re.compile(r"^Variable '\$(\w+)' has invalid value at \.([\w.\[\]]+): ")


def with_value(option: str, value: str) -> str:
    """--dry-run, --max-deletes 5, --on-error reject-all."""
    return option if value == "true" else f"{option} {value.lower().replace('_', '-')}"


TYPED = Wording(
    names=SPELLINGS,
    with_value=with_value,
    with_text=lambda option, text: f"{option} {shlex.quote(text)}",
    key=",".join,
)


def check_together(verb: str, given: Iterable[str]) -> None:
    """Whether each option is for this verb, and goes with the others; raises UsageError.

    `given`: the options that were given, as they are typed.
    """
    found = set(given)
    for option, verbs in OF_VERBS.items():
        if option in found and verb not in verbs:
            way_out = f"leave it out, or give --operation {verbs[-1]}"
            raise typer.BadParameter(f"it is for {listed(verbs)}, and not for {verb}; {way_out}.", param_hint=option)
    for guard in ("--max-deletes", "--max-delete-percent"):
        if guard in found and "--delete-missing" not in found:
            raise typer.BadParameter("it guards --delete-missing; give that too, or leave it out.", param_hint=guard)
    for other in WHOLE:
        if other in found and "--max-rows-per-second" in found:
            text = f"it paces transactions, and {other} writes all rows in one; leave one of the two out."
            raise typer.BadParameter(text, param_hint="--max-rows-per-second")


def check_names(option: str, names: Iterable[str] | None, known: Iterable[str], resource: str) -> None:
    """Whether these are fields, in either case, of the enum that the service has for them; raises BadParameter."""
    fields = [one.lower() for one in known]
    for name in names or ():
        if enum_value(name).lower() not in fields:
            like = get_close_matches(enum_value(name).lower(), fields, n=1)
            doubt = f" Did you mean {like[0]}?" if like else ""
            text = f"{resource} has no field {name}.{doubt} It has {', '.join(fields)}."
            raise typer.BadParameter(text, param_hint=option)


def given(**values: Any) -> dict[str, Any]:
    """The values that are given: what is left out has its default in the service."""
    # maxDeletes: 0 is given, and equal to False.
    return {name: value for name, value in values.items() if value is not None and value is not False}


def enum_value(name: str) -> str:
    """financialAccount, financial_account -> FINANCIAL_ACCOUNT."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


def names_in(names: str | None) -> list[str] | None:
    """a,b -> [a, b]."""
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]


def column_of(mapping: str) -> dict[str, str]:
    """Betrag=amount -> {from: Betrag, to: amount}; raises BadParameter."""
    source, equals, target = mapping.rpartition("=")
    if not equals or not source or not target:
        raise typer.BadParameter(f"{mapping!r} is not FROM=TO, such as Betrag=amount.", param_hint="--map")
    return {"from": source, "to": target}


def json_of(text: str | None, option: str) -> Any:
    """An option that is JSON, and None where it is left out; raises BadParameter."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"This is not JSON: {error}.", param_hint=option) from None
    if not isinstance(found, dict | list):
        # A null or a false would be taken for an option that is left out.
        raise typer.BadParameter(f"{text} is neither an object nor a list.", param_hint=option)
    return found


def moment_of(text: str | None, option: str) -> str | None:
    """A moment as it was given; raises BadParameter for what is none."""
    if text is not None:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            example = "2026-01-31T02:00:00Z"
            raise typer.BadParameter(f"{text!r} is not a time such as {example}.", param_hint=option) from None
    return text


def as_typed(message: str) -> str:
    """A message of the service with options as they are typed here: dateFormat is 'x' -> --date-format is 'x'."""
    if (place := PLACE.match(message)) is not None:
        # The first name of an input is the resource's.
        names = re.findall(r"[^\W\d]\w*", place[2])[place[1] == "input" :]
        option = next((SPELLINGS[one] for one in names if one in SPELLINGS), None)
        return message if option is None else f"{option}: {message[place.end() :]}"
    return TYPED.message(message)


def error_as_typed(message: str, path: str | None) -> str:
    """The same for the message of a row error, which may name fields of the row as well."""
    return TYPED.row_error(message, path)


def listed(words: tuple[str, ...]) -> str:
    """upsert and sync."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
