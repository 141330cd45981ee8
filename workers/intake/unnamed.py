"""The stored rows of a sync -> the rows of the table in its scope that none of them names, as chunks to delete.

Found before the first row is written, and by the keys that rows give, whether or not the rows turn out to be valid:
what the input names is never deleted. The guard is asked here, so that one that would delete too much writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import DataError, IntegrityError, connections, transaction

from bulkql.workers.backends import backend, durable
from bulkql.workers.columns.copying import copy, copy_values
from bulkql.workers.enums import State
from bulkql.workers.errors import GuardedDeletes
from bulkql.workers.frames import ROW, unpack
from bulkql.workers.intake.authority import check_authority
from bulkql.workers.intake.chunking import ChunkStore
from bulkql.workers.intake.requests import Guard
from bulkql.workers.intake.row_keys import Keys, keys_in
from bulkql.workers.ledger import claims
from bulkql.workers.ledger.results import chunks_in_order
from bulkql.workers.models import Chunk, Input
from bulkql.workers.resources.keys import same_key
from bulkql.workers.resources.lanes import has_several_tables
from bulkql.workers.resources.plan import Plan, plan_of
from bulkql.workers.resources.registry import field_of
from bulkql.workers.resources.scope import condition, pks_of
from bulkql.workers.spill import Spill

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Temporary tables: the keys that the input names, and the primary keys of the rows that it does not.
NAMED = "bulkql_named"
UNNAMED = "bulkql_unnamed"
#: Parts in which keys are compared outside of the database, and rows of the table that are read at once.
PARTS = 32
PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Unnamed:
    """The rows in scope, and those of them that no row names; `pks`: a frame of texts for each chunk."""

    scope: int
    missing: int
    pks: Iterator[pl.DataFrame]


def unnamed_rows(stored: Input) -> Iterator[Chunk]:
    """Store what a sync is to delete, all of it or nothing; raises Forbidden, GuardedDeletes, LeaseLost.

    There is nothing to tell of on the way: no chunk is due before the last one is stored.
    """
    check_authority(stored)
    with durable(), transaction.atomic():
        claims.hold_input(stored)
        store(stored)
    yield from ()


def store(stored: Input) -> None:
    """The chunks of a sync's missing rows, and how many there are."""
    if stored.operation.state == State.CANCELING:
        claims.read_to_end(stored, 0)
        return
    given = Input.objects.select_related("operation__created_by").get(
        operation=stored.operation_id, resource=stored.resource, removes=False
    )
    plan, user = plan_of(given), stored.operation.created_by
    keys = Names(given, plan, user)
    found = find_unnamed(plan, keys, user, stored.chunk_size)
    stored.scope_rows, stored.note = found.scope, keys.note(found.missing)
    stored.save(update_fields=["scope_rows", "note"])
    if stored.note:
        claims.read_to_end(stored, 0)
        return
    check_guard(stored, plan, found)
    # Behind the input's own rows, so that an index names one row of the resource.
    total = ChunkStore().store(stored, plan_of(stored), found.pks, start=given.total or 0)
    claims.read_to_end(stored, total)


def check_guard(stored: Input, plan: Plan, found: Unnamed) -> None:
    """Whether so many rows may be deleted; raises GuardedDeletes."""
    guard = Guard(max_deletes=stored.max_deletes, max_delete_percent=stored.max_delete_percent)
    refusals = guard.refusals(found.missing, found.scope)
    if refusals:
        limits, enough = (" and ".join(texts) for texts in zip(*refusals, strict=True))
        raise GuardedDeletes(
            f"The input does not name {found.missing:,} of the {found.scope:,} {plan.resource.model._meta.verbose_name}"
            f" rows in scope, and {limits} {'do' if len(refusals) > 1 else 'does'} not let them be deleted; nothing was"
            f" written. If they should be deleted, give {enough}. If not, check that the input is complete."
        )


class Names:
    """The keys that an input's rows give, a chunk at a time; and how many of them cannot be read."""

    def __init__(self, given: Input, plan: Plan, user: User | None) -> None:
        self.given, self.plan, self.user = given, plan, user
        self.together = {one.resource: frozenset(one.match_by) for one in given.operation.inputs.filter(removes=False)}
        self.unreadable = 0
        self.first: int | None = None
        #: The index of the first row of the chunk whose keys were given last.
        self._start = 0

    def __iter__(self) -> Iterator[Keys]:
        chunks = self.given.chunks.select_related("input").defer("results", "errors", "images")
        for chunk in chunks_in_order(chunks):
            self._start = chunk.row_start
            keys = keys_in(self.plan, unpack(chunk.payload), self.user, self.together)
            self.count(keys.unreadable)
            yield keys

    def count(self, rows: pl.Series) -> None:
        """Rows of this chunk, by their place in it, that name nobody knows which row."""
        if len(rows):
            first = self._start + int(rows[0])
            self.first = first if self.first is None else min(self.first, first)
        self.unreadable += len(rows)

    def note(self, missing: int) -> str:
        """Why nothing is deleted, if that is so."""
        if not self.unreadable or not missing:
            return ""
        none = f"No row of {self.plan.resource.name} was deleted"
        if self.unreadable == 1:
            return (
                f"{none}: 1 row has a key that cannot be read or found (index {self.first}), so it is not known which "
                "row of the table it means. Fix this row, and send all rows again."
            )
        return (
            f"{none}: {self.unreadable:,} rows have keys that cannot be read or found (index {self.first} is the "
            "first), so it is not known which rows of the table they mean. Fix these rows, and send all rows again."
        )


def find_unnamed(plan: Plan, keys: Names, user: User | None, size: int) -> Unnamed:
    """The rows in scope that no key names: by an anti-join."""
    in_sql = condition(plan.reach(user), f"t.{quoted_column(plan, plan.resource.pk.name)}")
    is_one_table = not has_several_tables(plan.resource.model)
    if in_sql is not None and is_one_table and backend(plan.resource.database).supports_copy:
        return find_in_database(plan, keys, *in_sql, size)
    return find_by_hashes(plan, keys, user, size)


def quoted_column(plan: Plan, name: str) -> str:
    """A field's column, for SQL."""
    field: Any = field_of(plan.resource.model, name)
    return connections[plan.resource.database].ops.quote_name(str(field.column))


def find_in_database(plan: Plan, keys: Names, visible: str, params: tuple[Any, ...], size: int) -> Unnamed:
    """By two temporary tables."""
    connection = connections[plan.resource.database]
    table, pk = (
        connection.ops.quote_name(plan.resource.model._meta.db_table),
        quoted_column(plan, plan.resource.pk.name),
    )
    columns = [quoted_column(plan, name) for name in plan.match_by]
    same = same_key(plan.resource.model, plan.resource.database, plan.key)
    with connection.cursor() as cursor:
        cursor.execute(
            f"DROP TABLE IF EXISTS {NAMED}; CREATE TEMPORARY TABLE {NAMED} ON COMMIT DROP AS"  # noqa: S608
            f" SELECT {', '.join(columns)} FROM {table} WITH NO DATA"
        )
        for some in keys:
            copy_keys(plan, keys, some.rows)
        # How many there are is what counts.
        cursor.execute(f"SET LOCAL default_statistics_target = 10; ANALYZE {NAMED}")
        cursor.execute(f"SELECT count(*) FROM {table} t WHERE {visible}", params)  # noqa: S608
        (scope,) = cursor.fetchone()
        # A merge would read the table by its index, row by row, and sort the keys: it takes twice as long as hashes.
        cursor.execute(f"DROP TABLE IF EXISTS {UNNAMED}; SET LOCAL enable_mergejoin = off")
        cursor.execute(
            f"CREATE TEMPORARY TABLE {UNNAMED} ON COMMIT DROP AS SELECT t.{pk} AS pk FROM {table} t"  # noqa: S608
            f" WHERE {visible} AND NOT EXISTS (SELECT FROM {NAMED} s WHERE {same})",
            params,
        )
        missing = cursor.rowcount
    return Unnamed(scope, missing, stored_pks(plan, size))


def copy_keys(plan: Plan, keys: Names, rows: pl.DataFrame) -> None:
    """Add the keys of a chunk's rows to those that the input names."""
    alias = plan.resource.database
    names = [str(field_of(plan.resource.model, name).column) for name in plan.match_by]
    series = [copy_values(plan.columns[name], rows[name], alias) for name in plan.match_by]
    frame = pl.DataFrame([one.alias(name) for one, name in zip(series, names, strict=True)])
    try:
        with transaction.atomic(using=alias):
            copy(alias, NAMED, tuple(names), frame)
    except (DataError, IntegrityError):
        # A value that the field takes, and its type in the database does not: halving finds whose it is.
        if rows.height == 1:
            keys.count(rows[ROW])
            return
        half = rows.height // 2
        copy_keys(plan, keys, rows[:half])
        copy_keys(plan, keys, rows[half:])


def stored_pks(plan: Plan, size: int) -> Iterator[pl.DataFrame]:
    """The primary keys of the missing rows, from their temporary table."""
    name = plan.resource.pk.name
    with connections[plan.resource.database].cursor() as cursor:
        cursor.execute(f"CREATE INDEX ON {UNNAMED} (pk)")
        last: list[Any] = []
        while True:
            behind = "WHERE pk > %s" if last else ""
            cursor.execute(f"SELECT pk, pk::text AS text FROM {UNNAMED} {behind} ORDER BY pk LIMIT {size}", last)  # noqa: S608
            page = cursor.fetchall()
            if page:
                yield pl.DataFrame({name: [text for _, text in page]}, schema={name: pl.String})
            if len(page) < size:
                return
            last = [page[-1][0]]


def find_by_hashes(plan: Plan, keys: Names, user: User | None, size: int) -> Unnamed:
    """By hashes of keys, part by part: where the database has no COPY, or one table does not tell what is in scope."""
    columns = [plan.columns[name] for name in plan.match_by]
    with closing(Spill()) as named, closing(Spill()) as scope:
        for some in keys:
            keys_of_rows = some.rows.select(one.comparable(some.rows[one.name]).alias(one.name) for one in columns)
            # A key with a null in it names nothing, unless it says that nulls are equal.
            named.add(hashes(keys_of_rows if plan.finds_by_nulls else keys_of_rows.drop_nulls()).unique())
        rows = 0
        for page in pages(plan, user):
            values = [one.series(page[one.name], [str(value) for value in page[one.name]]) for one in columns]
            frame = pl.DataFrame([one.comparable(s).alias(one.name) for one, s in zip(columns, values, strict=True)])
            scope.add(hashes(frame).with_columns(pk=pl.Series([str(pk) for pk in page["pk"]], dtype=pl.String)))
            rows += frame.height
        missing = [no_pks()]
        for part in scope.buckets():
            found, known = scope.read(part), named.read(part)
            gone = found if known.is_empty() else found.join(known, on=["low", "high"], how="anti")
            missing.append(gone.select("pk"))
    pks = pl.concat(missing)["pk"].alias(plan.resource.pk.name).to_frame()
    return Unnamed(rows, pks.height, pks.iter_slices(size) if pks.height else iter(()))


def hashes(keys: pl.DataFrame) -> pl.DataFrame:
    """Keys as 128 bits."""
    frame = pl.DataFrame({"low": keys.hash_rows(seed=1), "high": keys.hash_rows(seed=2)})
    return frame.with_columns(bucket=(pl.col("low") % PARTS).cast(pl.Int64))


def no_pks() -> pl.DataFrame:
    return pl.DataFrame(schema={"pk": pl.String})


def pages(plan: Plan, user: User | None) -> Iterator[dict[str, list[Any]]]:
    """The keys of the rows in scope, with their primary key, a page at a time."""
    names = ["pk", *(plan.columns[name].field.attname for name in plan.match_by)]
    every = plan.resource.model._base_manager.using(plan.resource.database).filter(pk__in=pks_of(plan.reach(user)))
    rows = every.order_by("pk").values_list(*names)
    rest = rows
    while page := list(rest[:PAGE]):
        yield dict(zip(("pk", *plan.match_by), map(list, zip(*page, strict=True)), strict=True))
        rest = rows.filter(pk__gt=page[-1][0])
