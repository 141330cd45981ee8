"""A Python program's rows -> what a request brings for one resource.

Objects with Python values become decoded JSON, as clients of GraphQL send it; frames, and more rows than a request may
bring inline, become a file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any
from uuid import UUID

import polars as pl
from django.core.files.base import File
from django.db.models import DecimalField, Field, Model, Q, QuerySet
from django.utils.duration import duration_string
from django.utils.functional import Promise

from bulkql.options import kind_of, shown
from bulkql.workers.columns.column import Column, graphql_name
from bulkql.workers.conf import limits
from bulkql.workers.enums import Verb
from bulkql.workers.errors import BadInput, refusals_named
from bulkql.workers.intake.requests import InputRequest
from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, fields_of
from bulkql.workers.resources.plan import plan_for, verb_of_rows
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.resources.rights import check_permissions
from bulkql.workers.resources.scope import pks_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@contextmanager
def input_of(
    verb: Verb,
    resource: BulkResource,
    rows: Any,
    user: User,
    match_by: Sequence[str] | None,
    update_fields: Sequence[str] | None,
    empty_cells: EmptyCells,
) -> Iterator[InputRequest]:
    """One resource's rows, for as long as the request is being stored; raises BadInput."""
    # Nobody else is told of fields.
    check_permissions(user, verb, resource)
    how: dict[str, Any] = {
        "resource": resource,
        "match_by": fields_named("match_by", resource, match_by),
        "update_fields": fields_named("update_fields", resource, update_fields),
    }
    if isinstance(rows, QuerySet):
        yield InputRequest(**how | {"queryset": touchable(verb, resource, rows, user), "match_by": [resource.pk.name]})
    elif isinstance(rows, pl.LazyFrame) or hasattr(rows, "__arrow_c_stream__"):
        with temporary() as file:
            frame = frame_of(resource, rows)
            check_columns(verb, frame.collect_schema(), user, how)
            frame.sink_parquet(file)
            if is_without_rows(file):
                yield InputRequest(**how, rows=[])
            else:
                yield file_input(file, FileFormat.PARQUET, empty_cells, how)
    else:
        objects = objects_of(verb, resource, rows)
        few = list(islice(objects, limits().inline_rows + 1))
        if verb == Verb.DELETE and match_by is None:
            how["match_by"] = key_of(resource, few)
        if len(few) <= limits().inline_rows:
            yield InputRequest(**how, rows=few)
        else:
            with temporary() as file:
                file.writelines(f"{json.dumps(row)}\n".encode() for row in chain(few, objects))
                yield file_input(file, FileFormat.NDJSON, EmptyCells.MISSING, how)


def fields_named(option: str, resource: BulkResource, names: Sequence[str] | None) -> list[str] | None:
    """The fields that an option names, in either spelling that rows may have; raises BadInput."""
    if names is None:
        return None
    fields = [*resource.columns, *resource.lists]
    known = {spelled: name for name in (*fields, resource.pk.name) for spelled in (name, graphql_name(name))}
    for name in names:
        if name not in known:
            raise BadInput(f"{option} names {name!r}, which {resource.name} does not have; it has {', '.join(fields)}.")
    return [known[name] for name in names]


def frame_of(resource: BulkResource, rows: Any) -> pl.LazyFrame:
    """A frame of any library as one of polars; raises BadInput for what is none, such as one column."""
    if isinstance(rows, pl.DataFrame | pl.LazyFrame):
        return rows.lazy()
    try:
        return pl.DataFrame(rows).lazy()
    # pyarrow raises such errors for columns of several types, and polars for a column without a frame.
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise BadInput(
            f"The rows of {resource.name} are {kind_of(rows)}, which cannot be read as a frame: {reason}. Give a frame "
            f"whose columns have one type each, or a list of dicts."
        ) from error


def check_columns(verb: Verb, schema: pl.Schema, user: User, how: dict[str, Any]) -> None:
    """Whether a frame has columns that may be written, so that nothing is stored of one that has not; or BadInput."""
    resource: BulkResource = how["resource"]
    if objects := [name for name, kind in schema.items() if kind == pl.Object]:
        raise BadInput(
            f"The column {objects[0]!r} of the rows of {resource.name} has Python objects; give what they stand for, "
            f"such as the text of a UUID or the key of an instance, or a list of dicts."
        )
    if schema:
        plan = plan_for(verb_of_rows(verb), resource, how["match_by"], how["update_fields"], schema.names(), user)
        fields_of(plan, schema.names(), FileOptions(format=FileFormat.PARQUET, is_from_python=True))


def touchable(verb: Verb, resource: BulkResource, found: QuerySet[Any], user: User) -> QuerySet[Any]:
    """The rows of a queryset that the user may delete."""
    if verb != Verb.DELETE:
        raise BadInput(
            f"{verb.title()} takes rows, and not a queryset, which tells which rows to delete; give a list of its "
            f"values()."
        )
    if found.model is not resource.model:
        raise BadInput(f"The queryset has rows of {found.model._meta.label}, not of {resource.label}.")
    mine: QuerySet[Any] = resource.model._base_manager.filter(pk__in=pks_of(resource.get_queryset(user)))
    return mine.filter(pk__in=pks_of(found))


def rows_where(resource: BulkResource, where: Q | QuerySet[Any]) -> QuerySet[Any]:
    """The part of a model's table that a condition or a queryset tells; raises BadInput."""
    if isinstance(where, Q):
        with refusals_named("where"):
            found: QuerySet[Any] = resource.model._base_manager.filter(where)
        return found.distinct()
    if not isinstance(where, QuerySet):
        raise BadInput(f"`where` is {kind_of(where)}; give a Q or a queryset.")
    if where.model is not resource.model:
        raise BadInput(f"`where` has rows of {where.model._meta.label}, not of {resource.label}.")
    return where


def is_without_rows(file: IO[bytes]) -> bool:
    """Whether a Parquet file that was written just now has no rows, by its footer."""
    from pyarrow.parquet import read_metadata  # here, as those who give lists have no use for it

    file.seek(0)
    return int(read_metadata(file).num_rows) == 0


def temporary() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="bulkql-rows-")


def file_input(file: IO[bytes], file_format: FileFormat, empty_cells: EmptyCells, how: dict[str, Any]) -> InputRequest:
    """Rows that were written to a file."""
    file.seek(0)
    content: File[bytes] = File(file, name=f"rows.{file_format.lower()}")
    options = FileOptions(format=file_format, empty_cells=empty_cells, is_from_python=True)
    return InputRequest(**how, content=content, file_options=options)


def key_of(resource: BulkResource, rows: Sequence[Any]) -> list[str] | None:
    """The key by which rows to delete are named, as GraphQL's `keys` and `ids` do it."""
    from bulkql.schema.requests import key_of as key_named

    is_by_pk = rows and isinstance(rows[0], dict) and set(rows[0]) == {resource.pk.name}
    return [resource.pk.name] if is_by_pk else key_named(resource, list(rows))


def objects_of(verb: Verb, resource: BulkResource, rows: Iterable[Any]) -> Iterator[Any]:
    """Rows as decoded JSON; primary keys and instances name the rows to delete."""
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        ways = "a list of keys, instances or dicts" if verb == Verb.DELETE else "a list of dicts"
        raise BadInput(f"The rows of {resource.name} are {kind_of(rows)}; give {ways}, or a frame.")
    known = (*resource.columns.values(), *(columns[0] for columns in resource.lists.values()))
    columns = {name: one for one in known for name in (one.name, one.graphql_name)}
    for index, row in enumerate(rows):
        if isinstance(row, Mapping):
            if not all(isinstance(name, str) for name in row):
                name = next(name for name in row if not isinstance(name, str))
                raise BadInput(f"rows.{index} has the key {shown(name)}; the keys of a row are names of fields.")
            yield {name: plain(value, columns.get(name), f"rows.{index}.{name}") for name, value in row.items()}
        elif verb == Verb.DELETE:
            value = value_of(row, resource.model, resource.pk.field, f"rows.{index}") if isinstance(row, Model) else row
            yield {resource.pk.name: plain(value, resource.pk, f"rows.{index}")}
        else:
            raise BadInput(f"rows.{index} is {kind_of(row)}; a row is a dict of fields and values.")


def plain(value: Any, column: Column | None, path: str) -> Any:
    """A Python value as decoded JSON; raises BadInput for one that has no such form."""
    if value is None or isinstance(value, bool) or type(value) in (int, float, str):
        return value
    if isinstance(value, Enum):
        return plain(value.value, column, path)
    if isinstance(value, Model):
        if column is None or column.target is None:
            label = value._meta.label
            raise BadInput(f"{path} is a {label}; only foreign keys, lists and rows to delete take instances.")
        return plain(value_of(value, column.target, column.target_field, path), None, path)
    if isinstance(value, Decimal):
        return number(value, column)
    if isinstance(value, date | time | datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration_string(value)
    if isinstance(value, UUID | Promise | str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): plain(one, None, f"{path}.{name}") for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        of_members = column if column is not None and column.target is not None else None
        return [plain(one, of_members, f"{path}.{place}") for place, one in enumerate(value)]
    if hasattr(value, "dtype") and hasattr(value, "item") and not getattr(value, "shape", ()):  # a scalar of NumPy's
        return plain(in_microseconds(value).item(), column, path)
    raise BadInput(f"{path} is {kind_of(value)}, which has no form in JSON; {advice_on(value)}.")


def in_microseconds(scalar: Any) -> Any:
    """A scalar of NumPy's; of a moment or a duration in nanoseconds, item() would give a number."""
    if scalar.dtype.kind not in "mM":
        return scalar
    coarser = scalar.astype(f"{scalar.dtype.kind}8[us]")
    # What is finer is refused as such, as its text.
    return coarser if coarser == scalar or scalar != scalar else scalar.astype(str)


def advice_on(value: Any) -> str:
    """What to give in place of a value that JSON does not have."""
    if type(value).__name__ == "NAType":  # of pandas, which need not be here
        return "give None"
    if isinstance(value, bytes | bytearray | memoryview):
        return "give a text, which for a binary field is Base64"
    if isinstance(value, QuerySet):
        return "give a list of its rows or of their keys"
    return "give a text or a number"


def value_of(instance: Model, model: type[Model], field: Field[Any, Any], path: str) -> Any:
    """What names an instance of a model: its value of the field; raises BadInput for another model's, and unsaved ones.

    An instance of another model would name whichever row has the same key.
    """
    label = instance._meta.label
    if not isinstance(instance, model._meta.concrete_model or model):
        raise BadInput(f"{path} is a {label}; a {model._meta.label} is expected here, or its {field.name}.")
    value = getattr(instance, field.attname)
    if value is None or instance.pk is None:
        raise BadInput(f"{path} is a {label} that is not saved; save it first.")
    return value


def number(value: Decimal, column: Column | None) -> Any:
    """A Decimal: all digits where the field keeps them."""
    if column is None or isinstance(column.field, DecimalField) or not value.is_finite():
        return str(value)
    return int(value) if value == value.to_integral_value() else float(value)
