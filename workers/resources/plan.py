"""A verb and a resource -> what rows may give, what they must, and how they are found in the table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import QuerySet

from bulkql.workers.backends import backend
from bulkql.workers.columns.column import Column, by_name, graphql_name, spelled
from bulkql.workers.columns.lists import ListColumn, spelled_list
from bulkql.workers.columns.spelling import Spelling
from bulkql.workers.enums import Lane, Verb
from bulkql.workers.errors import BadInput, Forbidden
from bulkql.workers.models import Input, Operation
from bulkql.workers.resources.constraints import why_no_key
from bulkql.workers.resources.keys import UniqueKey
from bulkql.workers.resources.lanes import lane_of
from bulkql.workers.resources.registry import BulkResource, field_of, resource_named, resource_of
from bulkql.workers.resources.rights import read_only, tells_users_apart, unnamable, write_only
from bulkql.workers.resources.scope import has_own_scope, reach_of
from bulkql.workers.resources.wheres import thawed

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an operation does with the rows of one resource."""

    resource: BulkResource
    verb: Verb
    #: The fields by which rows of the table are found; none for rows to create.
    match_by: tuple[str, ...] = ()
    #: The fields that an upsert changes in rows that are there; None for all that a row gives.
    update_fields: tuple[str, ...] | None = None
    #: The fields that this user may not write.
    read_only: frozenset[str] = frozenset()
    #: The columns that find the target of a foreign key or a list by a field that this user may not read.
    unnamable: frozenset[str] = frozenset()
    #: The rows of the table to which a request limits itself; None for all.
    within: QuerySet[Any] | None = dataclass_field(default=None, compare=False)
    #: Whether what rows of the table are is kept before they are written.
    keeps_images: bool = False
    #: Rows that only the model's default manager hides are there too: the operation that is undone has written them.
    sees_hidden: bool = False
    #: The revert whose rows these are.
    revert_id: UUID | None = None
    #: Rows that were changed since they were written are reverted all the same.
    forces: bool = False
    #: The rows are those of a sync, of which most are in the table as they are sent.
    is_sync: bool = False
    #: New rows whose unique key the table has already are left out, and are no errors.
    skips_existing: bool = False
    #: How a file spells values; None for rows that came with the request.
    spelling: Spelling | None = None

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The table's columns that rows may give, by field name."""
        known = {name: spelled(column, self.spelling) for name, column in self.resource.columns.items()}
        pk = spelled(self.resource.pk, self.spelling)
        by_pk = {pk.name: pk} if self.match_by == (pk.name,) else {}
        if self.verb == Verb.DELETE:
            return {name: ({**known, **by_pk})[name] for name in self.match_by}
        return {**by_pk, **known}

    @cached_property
    def naming_columns(self) -> dict[str, list[Column]]:
        """The columns in which rows may name the targets of foreign keys instead."""
        return {
            name: [spelled(column, self.spelling) for column in named]
            for name, named in self.resource.naming_columns.items()
            if name in self.columns
        }

    @cached_property
    def lists(self) -> dict[str, tuple[ListColumn, ...]]:
        """The columns in which rows may give many-to-many fields, which are no columns of the table."""
        if self.verb == Verb.DELETE:
            return {}
        return {
            name: tuple(spelled_list(column, self.spelling) for column in columns)
            for name, columns in self.resource.lists.items()
        }

    @cached_property
    def all_columns(self) -> dict[str, Column]:
        """All columns that a raw frame may have."""
        naming = (column for columns in self.naming_columns.values() for column in columns)
        lists = (column for columns in self.lists.values() for column in columns)
        return {**self.columns, **{column.name: column for column in (*naming, *lists)}}

    @cached_property
    def names(self) -> dict[str, str]:
        """What rows may call a column: snake_case, camelCase -> the column's name."""
        names = {
            name: column.name for column in self.all_columns.values() for name in (column.name, column.graphql_name)
        }
        for key, columns in self.naming_columns.items():
            for column in columns:
                own = (column.field.name, graphql_name(column.field.name))
                names |= {f"{way}.{name}": column.name for way in (by_name(key), graphql_name(key)) for name in own}
        for key, lists in self.lists.items():
            for one in lists:
                if one.names is not None and not one.has_objects:
                    (part,) = one.keys[0]
                    names |= {f"{graphql_name(key)}.{name}": one.name for name in (part.name, graphql_name(part.name))}
        return names

    @cached_property
    def by_names(self) -> frozenset[str]:
        """The fields of rows that hold an object which names a foreign key's target."""
        return frozenset(name for key in self.naming_columns for name in (by_name(key), f"{key}_by"))

    @cached_property
    def keys(self) -> list[UniqueKey]:
        """The keys of which no two rows of the request may have the same."""
        # What is stored of a write-only value is not known before it is written.
        names = self.columns.keys() - self.resource.write_only
        found = [key for key in self.resource.unique_keys if set(key.fields) <= names]
        match = [key for key in found if set(key.fields) == set(self.match_by)]
        return match + [key for key in found if key not in match]

    @property
    def finds_by_nulls(self) -> bool:
        """A null in a key is equal to another one, as the key itself says; otherwise it is equal to nothing."""
        return any(not key.nulls_distinct for key in self.keys if set(key.fields) == set(self.match_by))

    @property
    def key(self) -> UniqueKey:
        """The key by which rows are found."""
        return UniqueKey(self.match_by, nulls_distinct=not self.finds_by_nulls)

    @property
    def kept(self) -> frozenset[str]:
        """The fields that no row of the table changes: its key, its primary key, and what the user may not write."""
        own = frozenset((*self.match_by, self.resource.pk.name))
        # What no row may give, the resource's own rules may; where they do not, a replacement would empty it.
        return own if self.resource.makes_values and self.verb != Verb.REPLACE else own | self.read_only

    @cached_property
    def refused(self) -> list[Column]:
        """The columns that rows of this user may not give. To find a row by a field is not to write it."""
        if not self.read_only and not self.unnamable:
            return []
        given_to_find = frozenset() if self.creates else frozenset(self.match_by)
        refused = self.read_only - given_to_find
        return [
            one for one in self.all_columns.values() if one.name in self.unnamable or (one.names or one.name) in refused
        ]

    @property
    def creates(self) -> bool:
        """Rows may become new ones."""
        return self.verb in (Verb.CREATE, Verb.UPSERT)

    @cached_property
    def lane(self) -> Lane:
        """How the rows reach the table."""
        return lane_of(self.resource, self.verb)

    @property
    def has_levels(self) -> bool:
        """Rows may point to those before them."""
        return self.creates and self.resource.refers_to_itself

    @property
    def is_sequential(self) -> bool:
        """The chunks are written one after the other: rows point to those before them, or a model's save() may look
        at what the last one left (the numbers of a tree, say); a revert goes back step by step."""
        return self.has_levels or self.lane == Lane.SAVE or self.verb == Verb.REVERT

    @property
    def is_copied(self) -> bool:
        """Rows go into the table as columns, by COPY."""
        return self.lane == Lane.COPY and backend(self.resource.database).supports_copy

    @property
    def deletes_at_once(self) -> bool:
        """One statement finds and deletes the rows, by their primary keys."""
        resource = self.resource
        is_by_pk = self.verb == Verb.DELETE and self.match_by == (resource.pk.name,) and resource.pk.is_plain
        return is_by_pk and self.is_copied and resource.is_deleted_alone

    @property
    def is_bounded(self) -> bool:
        """Some rows of the table may be beyond the reach of some user, or of this request."""
        return self.within is not None or has_own_scope(self.resource)

    def reach(self, user: User | None) -> QuerySet[Any]:
        """The rows of the table that the request may touch, before the write and after it."""
        if self.sees_hidden and not self.is_bounded:
            return self.resource.model._base_manager.using(self.resource.database).all()
        return reach_of(self.resource, user, self.within)

    def requires(self, column: Column) -> bool:
        """A row must give it, whatever is in the table."""
        if column.name in self.match_by:
            return True
        if self.verb == Verb.REPLACE and column.name in self.read_only:
            return False
        return column.is_required and self.verb in (Verb.CREATE, Verb.REPLACE)

    def known(self) -> str:
        """What rows may give, in words."""
        return ", ".join(map(graphql_name, (*self.columns, *self.lists)))

    def unnamed(self, key: str) -> str:
        """Why no row gives accountBy or account.name, where the account has no resource whose keys could name it."""
        outer, dot, _ = key.partition(".")
        for name in self.resource.fields:
            ways = (name, graphql_name(name)) if dot else (f"{name}_by", by_name(name))
            target: Any = field_of(self.resource.model, name).related_model
            if outer in ways and target is not None and resource_of(target) is None:
                return f" Rows of {target._meta.label} can be named by a key once it is registered in a bulk.py."
        return ""


def verb_of_rows(verb: Verb) -> Verb:
    """What is done with the rows that a request gives: those of a sync are upserted."""
    return Verb.UPSERT if verb == Verb.SYNC else verb


def verb_of_input(stored: Input) -> Verb:
    """What is done with the rows of an input."""
    verb = Verb(stored.operation.verb)
    return Verb.DELETE if stored.removes and verb != Verb.REVERT else verb_of_rows(verb)


def plan_of(stored: Input) -> Plan:
    """The plan of an accepted request, with its user's rights as they are now."""
    resource = resource_named(stored.resource)
    plan = Plan(
        resource=resource,
        verb=verb_of_input(stored),
        match_by=tuple(stored.match_by),
        update_fields=None if stored.update_fields is None else tuple(stored.update_fields),
        within=None if stored.scope is None else thawed(resource.model, stored.scope),
        keeps_images=keeps_images(resource, stored.operation),
        revert_id=stored.operation_id if stored.operation.verb == Verb.REVERT else None,
        forces=stored.operation.forces,
        is_sync=stored.operation.verb == Verb.SYNC,
        skips_existing=stored.operation.skip_existing,
        spelling=spelling_of(stored.file_options),
    )
    # Most resources do not ask who it is: then the user is not asked for, either.
    return with_rights(plan, stored.operation.created_by) if tells_users_apart(resource) else plan


def spelling_of(file_options: dict[str, Any] | None) -> Spelling | None:
    """How a file's values are spelled; None for rows whose sender has no options for it, as Python code."""
    if file_options is None or file_options.get("is_from_python"):
        return None
    return Spelling.from_json(file_options.get("spelling", {}))


def keeps_images(resource: BulkResource, operation: Operation) -> bool:
    """Whether an operation can be reverted later: not what is rolled back anyway, and no revert itself."""
    is_lasting = not operation.dry_run and operation.verb != Verb.REVERT
    return is_lasting and resource.keeps_what_was and backend(resource.database).supports_copy


def with_rights(plan: Plan, user: User | None) -> Plan:
    """A plan that says what its user may not."""
    return replace(plan, read_only=read_only(plan.resource, user), unnamable=unnamable(plan.resource, user))


def plan_for(
    verb: Verb,
    resource: BulkResource,
    match_by: Sequence[str] | None,
    update_fields: Sequence[str] | None,
    names: Collection[str],
    user: User | None = None,
) -> Plan:
    """The plan of a user's request; `names` are what its rows call their fields. Raises BadInput, Forbidden."""
    check_update_fields(resource, update_fields)
    plan = Plan(
        resource=resource,
        verb=verb,
        match_by=key_for(verb, resource, match_by, names),
        update_fields=None if update_fields is None else tuple(dict.fromkeys(update_fields)),
    )
    plan = with_rights(plan, user)
    check_field_rights(plan, user)
    return plan


def check_field_rights(plan: Plan, user: User | None) -> None:
    """Whether the user may find rows by these fields, and change those; raises Forbidden."""
    name = plan.resource.name
    unreadable = write_only(plan.resource, user)
    for field in plan.match_by:
        if field in unreadable:
            raise Forbidden(f"{name} cannot be matched by {field.upper()}: you may not read it. Give another matchBy.")
    for field in plan.update_fields or ():
        if field in plan.read_only:
            raise Forbidden(f"updateFields of {name} names {field.upper()}, which you may not write; leave it out.")


def key_for(
    verb: Verb, resource: BulkResource, match_by: Sequence[str] | None, names: Collection[str]
) -> tuple[str, ...]:
    """The fields by which rows are found: as asked; else the primary key if rows give it; else the resource's own."""
    pk = resource.pk.name
    if verb == Verb.CREATE:
        return ()
    if match_by is None and verb != Verb.UPSERT and {pk, graphql_name(pk)} & set(names):
        return (pk,)
    wanted = tuple(dict.fromkeys(match_by if match_by is not None else resource.match_fields or (pk,)))
    if match_by is not None and len(match_by) > len(wanted):
        raise BadInput(f"matchBy of {resource.name} is {as_enums(match_by)}; name each field once.")
    allowed = [key.fields for key in resource.given_keys if verb != Verb.UPSERT or not key.is_deferrable]
    if verb != Verb.UPSERT and (pk,) not in allowed:
        allowed.insert(0, (pk,))
    if not any(set(wanted) == set(fields) for fields in allowed):
        ways = " or ".join(map(as_enums, allowed)) or "nothing"
        if match_by == []:
            raise BadInput(f"matchBy of {resource.name} is empty; leave it out, or say {ways}.")
        raise BadInput(
            f"{resource.name} cannot be matched by {as_enums(wanted)}"
            f"{why_no_key(resource.model, resource.database, wanted)}; matchBy may be {ways}."
        )
    return wanted


def as_enums(fields: Iterable[str]) -> str:
    """Fields as a request names them: [FINANCIAL_ACCOUNT, DATETIME]."""
    return f"[{', '.join(name.upper() for name in fields)}]"


def check_update_fields(resource: BulkResource, update_fields: Sequence[str] | None) -> None:
    """An upsert changes fields of the resource; raises BadInput."""
    known = (*resource.columns, *resource.lists)
    unknown = [name for name in update_fields or () if name not in known]
    if unknown or update_fields == []:
        named = f"names {', '.join(name.upper() for name in unknown)}" if unknown else "is empty"
        allowed = ", ".join(name.upper() for name in known)
        raise BadInput(f"updateFields of {resource.name} {named}; it may name {allowed}.")
