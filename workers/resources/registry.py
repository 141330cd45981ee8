"""Registered models and their rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast
from uuid import UUID

import polars as pl
from django.db import models, router
from django.db.models.deletion import Collector

from bulkql.workers.columns.column import Column, column_for, naming
from bulkql.workers.columns.lists import ListColumn, list_columns
from bulkql.workers.conf import limits
from bulkql.workers.enums import Approval, Lane, Verb
from bulkql.workers.errors import BadInput, ImproperlyRegistered
from bulkql.workers.resources.keys import UniqueKey, unique_keys

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: What a resource may offer; a revert asks for the permissions of what it undoes.
ALL = frozenset(Verb) - {Verb.REVERT}


class BulkResource:
    """The rules of one model's bulk operations. Subclass it in an app's bulk.py and register it."""

    #: The model's fields that rows may give. Required.
    fields: ClassVar[tuple[str, ...]] = ()
    #: The fields by which rows are found when the request names none.
    match_fields: ClassVar[tuple[str, ...]] = ()
    #: The operations that the API offers.
    operations: ClassVar[frozenset[Verb]] = ALL
    #: How rows reach the table. AUTO: by COPY if that does what save() and delete() would do, otherwise by SAVE, which
    #: calls them for each row. COPY deliberately skips what the model does there; `bulkql check` says what that is.
    writes: ClassVar[Lane] = Lane.AUTO
    #: The name in GraphQL; by default the model's plural in camelCase.
    name: str = ""
    #: The name of one row's type in GraphQL, and the prefix of its inputs' names; by default the model's name.
    type_name: str = ""
    #: The function that converts the values of a field before they are stored: {"password": make_password}. Nobody can
    #: read such a field.
    written_as: ClassVar[Mapping[str, Callable[[str], str]]] = {}
    #: Fields that are accepted but never shown in lists, filters, changes, row errors or files; chunks hold them
    #: encrypted. before_write can convert them before they are stored.
    write_only_fields: ClassVar[tuple[str, ...]] = ()
    #: BY_ANOTHER: rows are written only by plans: dry runs that another user than their author applies.
    approval: ClassVar[Approval] = Approval.NONE
    #: The columns of an export's file if the request names none: fields, and fields of targets (account.name). By
    #: default `fields`, and the primary key if there are no match_fields. Fields that the user may not read are left
    #: out.
    export_fields: ClassVar[tuple[str, ...]] = ()
    #: Rows in a chunk; by default the setting BULKQL_CHUNK_SIZE.
    chunk_size: int | None = None
    #: The most rows that one operation may bring; by default any number.
    max_rows: int | None = None
    #: Whether images of changed and deleted rows are kept with an operation's results, so that it can be reverted; by
    #: default the setting BULKQL_KEEPS_IMAGES. docs/revert.md says what that costs.
    keeps_images: bool | None = None
    #: The most rows that one operation may write per second; by default the setting BULKQL_MAX_ROWS_PER_SECOND.
    max_rows_per_second: int | None = None
    #: The URL that is notified of the end of its operations; by default the setting BULKQL_WEBHOOK_URL.
    webhook_url: str = ""

    def __init__(self, model: type[models.Model]) -> None:
        self.model = model
        self.name = self.name or camel_case(str(model._meta.verbose_name_plural))
        self.type_name = self.type_name or model.__name__

    def get_queryset(self, user: User | None) -> models.QuerySet[Any]:
        """The rows that this user may see and change, before a write and after it. By default all of them.

        It limits lists, the rows that are found by their keys, and the targets of other resources' foreign keys and
        lists. A row that would leave it, or that is created outside of it, is FORBIDDEN and not written, as with USING
        and WITH CHECK of a policy in PostgreSQL. `user` is None if the user who sent the request has been deleted.
        """
        return self.model._default_manager.all()

    def writable_fields(self, user: User | None) -> Collection[str]:
        """The fields, of `fields`, that this user may write. By default all of them.

        A row that gives another field is FORBIDDEN, and a CSV file with a column for it is BAD_INPUT; a replacement
        leaves it as it is. Finding a row by a field is not writing it. `user` is None if the user has been deleted.
        """
        return self.fields

    def readable_fields(self, user: User | None) -> Collection[str]:
        """The fields, of `fields`, that this user may read. By default all of them.

        Other fields are null in all rows of lists, and missing in `changes`; filtering, ordering or finding rows by
        them is FORBIDDEN. A user who may not view the model can read nothing of it. The primary key is always readable.
        """
        return self.fields

    def get_targets(self, field: str, user: User | None) -> models.QuerySet[Any]:
        """The rows to which a foreign key or a list may refer, if their model has no resource. By default all of them.

        A resource that has a get_queryset and such fields must define it (bulkql.E017):
        `return Group.objects.filter(members=user)`.
        """
        target: Any = field_of(self.model, field).related_model
        return cast("models.QuerySet[Any]", target._base_manager.all())

    def prepare_rows(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Change the values of rows before they are validated; a frame in, a frame out.

        `rows` has `row`, for each field the text as it was sent (null if the row gives none, or gives null), and
        `given:FIELD`, which says whether a row gives it; also columns such as `account.name` if some row names a target
        that way. A value set where there was none counts as given. Numbers, dates and booleans are accepted as well as
        texts. It gets any number of rows, and may get a row more than once: the result for a row must depend on that
        row only. It is not called for deletes.
        """
        return rows

    def before_write(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Change the values of valid rows just before they are written, in their transaction; a frame in, a frame out.

        `rows` are what clean_rows gets, and the answer has the same rows and types: hash a password, fill in what no
        row gave. A value set where there was none counts as given. It runs again when the chunk is tried again, and in
        dry runs. Keys are compared before this: compute them in prepare_rows.
        """
        return rows

    def clean_rows(self, rows: pl.DataFrame) -> pl.DataFrame | None:
        """Check the valid rows of a chunk as columns before they are written; returns the errors of bad rows.

        `rows` has `row`, one column for each field, and `given:FIELD`, which says whether a row gives it; what a row
        does not give is null. Decimals are texts, foreign keys the values that they store, many-to-many fields lists of
        primary keys as texts. Build the answer with bulkql.row_errors.
        """
        return None

    def clean_row(self, row: dict[str, Any]) -> None:
        """Check one valid row, given as Python values of the fields that it gives; raises Django's ValidationError.

        It is called for each row, which takes time: prefer clean_rows where a check of columns is enough.
        """

    def after_chunk(self, outcome: ChunkOutcome) -> None:
        """Do what belongs to a chunk's rows, in their transaction, so that it is committed or rolled back with them.

        It runs again when the chunk is tried again, and in dry runs, which are rolled back.
        """

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The columns of the table that rows may give, by field name."""
        fields = (field_of(self.model, name) for name in self.fields)
        return {one.name: column_for(one) for one in fields if not isinstance(one, models.ManyToManyField)}

    @cached_property
    def lists(self) -> dict[str, tuple[ListColumn, ...]]:
        """The columns in which rows may give each many-to-many field, by field name."""
        fields = (field_of(self.model, name) for name in self.fields)
        return {one.name: list_columns(one, keys_of(one)) for one in fields if isinstance(one, models.ManyToManyField)}

    @cached_property
    def pk(self) -> Column:
        """The primary key, by which rows of the table are found; not always among `columns`.

        Of a model that inherits from another table, it is that one's: `id`, and not the link to it.
        """
        pk: Any = self.model._meta.pk
        while getattr(pk.remote_field, "parent_link", False):
            pk = pk.target_field
        return column_for(pk)

    @cached_property
    def naming_columns(self) -> dict[str, list[Column]]:
        """The columns in which rows may give each foreign key by a unique key of its target: account.name."""
        return {
            column.name: [naming(column.field, field_of(target.model, name)) for name in target.names_of_keys()]
            for column in self.columns.values()
            if isinstance(column.field, models.ForeignKey)
            and column.target is not None
            and (target := resource_of(column.target)) is not None
        }

    def names_of_keys(self) -> list[str]:
        """The fields of all keys by which others may name a row."""
        return list(dict.fromkeys(name for key in self.given_keys for name in key.fields))

    @cached_property
    def given_keys(self) -> tuple[UniqueKey, ...]:
        """The unique keys that rows give themselves, and by which they are found."""
        names = self.columns.keys() - self.write_only
        return tuple(key for key in self.unique_keys if set(key.fields) <= names)

    @property
    def write_only(self) -> frozenset[str]:
        """The fields that nobody reads."""
        return frozenset(self.write_only_fields) | self.written_as.keys()

    @property
    def keeps_what_was(self) -> bool:
        """Whether images of its rows are kept: as the resource says, otherwise as the setting says."""
        return limits().keeps_images if self.keeps_images is None else self.keeps_images

    @property
    def makes_values(self) -> bool:
        """What is written is not always what rows give."""
        rules = type(self)
        is_prepared = rules.prepare_rows is not BulkResource.prepare_rows
        return is_prepared or rules.before_write is not BulkResource.before_write

    @cached_property
    def refers_to_itself(self) -> bool:
        """A foreign key points to rows of the same table."""
        return self.model in parents_of(self)

    @property
    def is_deleted_alone(self) -> bool:
        """Nothing goes along with a deleted row, and nobody listens to Django's signals for it."""
        return Collector(using=self.database).can_fast_delete(self.model._base_manager.all())

    @cached_property
    def unique_keys(self) -> tuple[UniqueKey, ...]:
        """The keys that no two rows of the table share."""
        return unique_keys(self.model)

    @property
    def database(self) -> str:
        """The alias of the database that holds the table."""
        return router.db_for_write(self.model)

    @property
    def label(self) -> str:
        """The model as Django writes it: ledger.FinancialTransaction."""
        return self.model._meta.label

    def size_of_chunks(self, requested: int | None) -> int:
        """Rows in a chunk: as requested, else as registered, else as set."""
        return requested or self.chunk_size or limits().chunk_size


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkOutcome:
    """What became of a chunk. `rows`: index (in the input), outcome, pk (as text; null for failed rows)."""

    operation_id: UUID
    verb: Verb
    user: User | None
    is_dry_run: bool
    rows: pl.DataFrame


_registry: dict[type[models.Model], BulkResource] = {}


def register(model: type[models.Model]) -> Callable[[type[BulkResource]], type[BulkResource]]:
    """Give a model bulk mutations; the decorator of a BulkResource in an app's bulk.py."""

    def decorate(rules: type[BulkResource]) -> type[BulkResource]:
        if model in _registry:
            raise ImproperlyRegistered(
                f"{model._meta.label} is registered twice, by {type(_registry[model]).__qualname__} "
                f"and {rules.__qualname__}; remove one."
            )
        _registry[model] = rules(model)
        return rules

    return decorate


def registered() -> list[BulkResource]:
    """All resources, each after those that its foreign keys point to."""
    return in_dependency_order(_registry.values())


def resource_of(model: type[models.Model]) -> BulkResource | None:
    """The resource of a model, if it has one."""
    return _registry.get(model)


def resource_named(name: str) -> BulkResource:
    """The resource of a GraphQL name; raises BadInput."""
    for resource in _registry.values():
        if resource.name == name:
            return resource
    known = ", ".join(sorted(resource.name for resource in _registry.values())) or "none; add a bulk.py to an app"
    raise BadInput(f"There is no resource {name}. Registered are: {known}.")


def in_dependency_order(resources: Iterable[BulkResource]) -> list[BulkResource]:
    """Parents before children; a cycle keeps the order of registration."""
    waiting = list(resources)
    ordered: list[BulkResource] = []
    while waiting:
        models_waiting = {resource.model for resource in waiting}
        free = next((r for r in waiting if not (parents_of(r) - {r.model}) & models_waiting), waiting[0])
        waiting.remove(free)
        ordered.append(free)
    return ordered


def parents_of(resource: BulkResource) -> set[type[models.Model]]:
    """The models that a resource's foreign keys and lists point to."""
    pointing = [*resource.columns.values(), *(columns[0] for columns in resource.lists.values())]
    return {column.target for column in pointing if column.target is not None}


def keys_of(field: models.ManyToManyField[Any, Any]) -> list[list[models.Field[Any, Any]]]:
    """The keys by which rows may name the targets of a many-to-many field."""
    target = resource_of(field.related_model)
    return [[field_of(target.model, name) for name in key.fields] for key in target.given_keys] if target else []


def field_of(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    """A model's field by name; raises FieldDoesNotExist."""
    # The other side of a relation is no Field; the system checks refuse it (bulkql.E004).
    return cast("models.Field[Any, Any]", model._meta.get_field(name))


def camel_case(text: str) -> str:
    """financial transactions, financial_transactions -> financialTransactions."""
    first, *rest = re.split(r"[\s_-]+", text.strip())
    return first[:1].lower() + first[1:] + "".join(word[:1].upper() + word[1:] for word in rest)
