"""The query of an export -> frames of texts, by the ORM: on other databases, and of fields that Django alone knows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import polars as pl
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import F, QuerySet

from bulkql.workers.backends import backend
from bulkql.workers.exports.fields import ExportField
from bulkql.workers.exports.lists import members_of
from bulkql.workers.exports.rows import columns_to_export, selected
from bulkql.workers.exports.spelling import spelled_values
from bulkql.workers.resources.scope import batches

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Rows of a frame.
FRAME_ROWS = 10_000


def frames_of_rows(
    alias: str, fields: Sequence[ExportField], rows: QuerySet[Any], user: User | None
) -> Iterator[pl.DataFrame]:
    """Frames of texts, with columns called 0, 1, ...; in the caller's transaction."""
    values = columns_to_export(fields, user)
    # A list is read for all rows of a frame at once, by the key of the rows that have it.
    keys = [
        F("__".join([*one.path.split("__")[:-1], "pk"])) if one.member else value
        for one, value in zip(fields, values, strict=True)
    ]
    for page in pages(alias, selected(rows, keys)):
        columns = list(zip(*page, strict=True))
        yield pl.DataFrame(
            [
                (listed(rows, one, column, user) if one.member else spelled_values(one.column, column)).alias(
                    str(place)
                )
                for place, (one, column) in enumerate(zip(fields, columns, strict=True))
            ]
        )


def pages(alias: str, rows: QuerySet[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows, so many at a time in memory."""
    if backend(alias).supports_streaming:
        # By a cursor, whatever DISABLE_SERVER_SIDE_CURSORS says: in a transaction a pooler keeps it.
        compiler = rows.query.get_compiler(using=alias)
        found = compiler.results_iter(chunked_fetch=True, chunk_size=FRAME_ROWS, tuple_expected=True)
        while page := list(islice(found, FRAME_ROWS)):
            yield page
        return
    start = 0
    while page := list(rows[start : start + FRAME_ROWS]):
        yield page
        start += len(page)


def listed(rows: QuerySet[Any], field: ExportField, keys: Sequence[Any], user: User | None) -> pl.Series:
    """The members of each row's list, as JSON; null where there is no row that has one."""
    members = members_of(rows.model, field, user)
    found: dict[Any, list[Any]] = defaultdict(list)
    for some in batches([key for key in dict.fromkeys(keys) if key is not None]):
        pairs = members.rows.filter(**{f"{members.owner}__in": some}).values_list(members.owner, members.member)
        for key, member in pairs:
            found[key].append(member)
    texts = [None if key is None else json.dumps(found[key], cls=DjangoJSONEncoder, ensure_ascii=False) for key in keys]
    return pl.Series(texts, dtype=pl.String)
