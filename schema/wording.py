"""A message that names GraphQL's options -> the same as another door calls them: the command line, and Python code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

#: set unknownColumns: IGNORE; dryRun: true; maxDeletes: 5; with `decimal: ","`; `columns` maps to
NAMED = re.compile(
    r"""\b(?P<option>[a-z]\w+):\ (?P<value>true|[A-Z_]{2,}|\d[\d.]*(?<!\.))\b
    | `(?P<with_text>\w+):\ "(?P<text>[^"`]*)"`
    | `(?P<quoted>\w+)`""",
    re.VERBOSE,
)
#: skipExisting is for rows to create; such a message is about options alone, and names no fields.
ABOUT = re.compile(r"(\w+) (?:is|has|of|and|paces)\b")
#: Names of more than one word; those of one are plain English too. A name in a list of names is a field's.
COMPOUND = re.compile(r"(?<![\w'\"`“.-])(?<!\bare )(?<!, )[a-z]+[A-Z]\w+(?![\w'\"`”,])")
#: matchBy may be [FINANCIAL_ACCOUNT, DATETIME]
KEY = re.compile(r"\[([A-Z][A-Z0-9_]*(?:, [A-Z][A-Z0-9_]*)*)\]")

#: updateFields of cities names X; it may name NAME, COUNTRY
FIELD = re.compile(r"\b[A-Z][A-Z0-9_]*\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What a door calls GraphQL's options, and how they are given there."""

    #: GraphQL's names -> the door's.
    names: Mapping[str, str]
    #: One of the door's options with true, a number or a member of an enum.
    with_value: Callable[[str, str], str]
    #: One of them with a text.
    with_text: Callable[[str, str], str]
    #: The fields of a key, in snake_case.
    key: Callable[[Sequence[str]], str]

    def message(self, message: str) -> str:
        """A message about a request: dateFormat is 'x' -> --date-format is 'x'."""
        message = NAMED.sub(self._named, message)
        if (about := ABOUT.match(message)) is not None and about[1] in self.names:
            message = f"{self.names[about[1]]}{message[about.end(1) :]}"
        message = COMPOUND.sub(lambda found: self.names.get(found[0], found[0]), message)
        if self.names["matchBy"] in message:
            message = KEY.sub(lambda found: self.key(found[1].lower().split(", ")), message)
        if message.startswith(f"{self.names['updateFields']} of"):
            message = FIELD.sub(lambda found: found[0].lower(), message)
        return message

    def row_error(self, message: str, path: str | None) -> str:
        """The same for the message of a row error, which may name fields of the row as well."""
        fields = re.findall(r"\w+", path or "")
        return NAMED.sub(lambda found: found[0] if found["quoted"] in fields else self._named(found), message)

    def _named(self, found: re.Match[str]) -> str:
        """One name of GraphQL's, where it is an option, with its value as that is given."""
        option = self.names.get(found["option"] or found["with_text"] or found["quoted"])
        if option is None:
            return found[0]
        if found["value"] is not None:
            return self.with_value(option, found["value"])
        if found["with_text"]:
            return f"`{self.with_text(option, found['text'])}`"
        return f"`{option}`" if found["quoted"] else option
