"""The fields of lists and of their rows: what stands between Strawberry's fields and a client."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from django.db.models import Window
from django.db.models.functions import RowNumber
from strawberry.annotation import StrawberryAnnotation
from strawberry.extensions import FieldExtension
from strawberry.types import Info
from strawberry.types.arguments import StrawberryArgument
from strawberry_django.fields.field import StrawberryDjangoField
from strawberry_django.optimizer import is_optimized_by_prefetching

from bulkql.schema.checks.filters import check_filter
from bulkql.schema.context import Context, user_of
from bulkql.schema.limits.fetching import canceled_with_client, fetch
from bulkql.schema.lists.filters import order_of
from bulkql.schema.lists.values import shown_by
from bulkql.schema.options import is_given
from bulkql.schema.permissions import check_may_search, check_may_view, view_forbidden
from bulkql.workers.columns.column import Column
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import BadInput, Forbidden, LimitExceeded, refusals_named
from bulkql.workers.intake.checks import exceeds
from bulkql.workers.resources.registry import BulkResource


def list_field(resource: BulkResource) -> type[StrawberryDjangoField]:
    """The field of a resource's list: what a client asks by is looked at before the database is asked."""

    class ListField(StrawberryDjangoField):
        @property
        def arguments(self) -> list[StrawberryArgument]:
            """Strawberry's own name for an order of several keys is `ordering`."""
            found = super().arguments
            for one in found:
                if one.python_name == "ordering":
                    one.graphql_name = "order"
                    one.type_annotation = StrawberryAnnotation(list[order_of(resource)] | None)  # type: ignore[misc]
            return found

        @arguments.setter
        def arguments(self, value: list[StrawberryArgument]) -> None:
            StrawberryDjangoField.arguments.fset(self, value)  # type: ignore[attr-defined]

        def get_queryset(self, queryset: Any, info: Info[Context, None], **arguments: Any) -> Any:
            user = user_of(info)
            check_may_view(user, resource)
            check_may_search(user, resource, "filtered", arguments.get("filters"))
            check_may_search(user, resource, "ordered", arguments.get("ordering"))
            check_filter(resource, arguments.get("filters"), f"{resource.name}.filters", info)
            page = page_of(f"{resource.name}.pagination", resource.name, arguments.pop("pagination", None))
            found = super().get_queryset(queryset, info, **arguments)  # type: ignore[no-untyped-call]  # not typed there
            # Without an order, two pages could have the same row.
            found = (found if found.ordered else found.order_by("pk"))[page]
            # Read here: a pattern that the database does not take is known only then.
            with refusals_named(f"{resource.name}.filters"):
                fetch(found, resource.name)
            return found

        def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
            result = super().get_result(source, info, args, kwargs)
            return canceled_with_client(result) if isawaitable(result) else result

    return ListField


def value_field(resource: BulkResource, column: Column) -> type[StrawberryDjangoField]:
    """The field of a value, in the spelling in which rows give it."""
    show, attribute = shown_by(column, resource), column.field.attname

    class ValueField(StrawberryDjangoField):
        def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
            if attribute not in source.__dict__:  # not read along with its row: the database is asked elsewhere
                return super().get_result(source, info, args, kwargs)
            return show(getattr(source, attribute), source)

    return ValueField


def reference_field(target: BulkResource) -> type[StrawberryDjangoField]:
    """The field of a row that another row points to: null where the user may not see that row."""

    class ReferenceField(StrawberryDjangoField):
        def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
            check_is_not_hidden(target, info)
            return super().get_result(source, info, args, kwargs)

    return ReferenceField


def members_field(resource: BulkResource, target: BulkResource, column: Column) -> type[StrawberryDjangoField]:
    """The field of the rows in a row's list: a page of them, and never a part of what was asked for as a whole."""
    place = f"{resource.name}.{column.graphql_name}"

    class MembersField(StrawberryDjangoField):
        def get_queryset(self, queryset: Any, info: Info[Context, None], **arguments: Any) -> Any:
            if is_optimized_by_prefetching(queryset):
                return queryset
            given = arguments.pop("pagination", None)
            page = page_of(f"{place}.pagination", place, given)
            found = super().get_queryset(queryset, info, **arguments)  # type: ignore[no-untyped-call]  # not typed there
            # As Strawberry's own pages of each row's list, which end at a limit of theirs. One more than the default
            # page tells that it is not all.
            whose = arguments["_strawberry_related_field_id"]
            numbered = found.annotate(_place=Window(RowNumber(), partition_by=whose, order_by="pk"))
            return numbered.filter(_place__gt=page.start, _place__lte=page.stop + (not is_limited(given)))

        def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
            check_is_not_hidden(target, info)
            read = prefetched(source, column)
            if read is None:
                raise BadInput(
                    f"{place} is requested twice with different arguments; use another request for the second."
                )
            check_is_whole(place, read, kwargs.get("pagination"))
            return read

    return MembersField


def keys_field(resource: BulkResource, column: Column) -> type[StrawberryDjangoField]:
    """The field of a list whose rows have no resource: their keys are all that can be told."""
    place = f"{resource.name}.{column.graphql_name}"

    class KeysField(StrawberryDjangoField):
        def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
            read = getattr(source, keys_read(column))
            check_is_whole(place, read, None)
            return [one.pk for one in read]

    return KeysField


def keys_read(column: Column) -> str:
    """The attribute of a row that holds what was read for a list of keys."""
    return f"_keys_of_{column.field.name}"


def prefetched(source: Any, column: Column) -> list[Any] | None:
    """The rows of a list that were read along with the rows that have them; None where they were not."""
    read = getattr(source, "_prefetched_objects_cache", {}).get(column.field.name)
    return None if read is None else list(read)


def check_is_whole(place: str, read: list[Any], pagination: Any) -> None:
    """Raises LimitExceeded for a list that goes on: sent back without its rest, it would lose that."""
    most = limits().default_page_rows
    if len(read) > most and not is_limited(pagination):
        raise LimitExceeded(
            f"{place} has more than {most:,} rows ({setting_name('default_page_rows')}); "
            f"ask for them in pages: {{pagination: {{offset: 0, limit: {most}}}}}."
        )


def check_is_not_hidden(target: BulkResource, info: Info[Context, None]) -> None:
    """Asked when the rows were; here, on the event loop, a project's own backend could not ask the database."""
    if target.name in info.context.hidden:
        raise Forbidden(view_forbidden(target))


def page_of(path: str, what: str, given: Any) -> slice:
    """Which of the rows; a page of the default size where nothing is said. Raises BadInput, LimitExceeded."""
    offset: int = given.offset if is_given(given) else 0
    limit: int = given.limit if is_limited(given) else limits().default_page_rows
    if offset < 0:
        raise BadInput(f"{path}.offset is {offset}; the first row has the offset 0.")
    if limit < 0:
        raise BadInput(f"{path}.limit is {limit}; a page has no negative number of rows.")
    exceeds("page_rows", f"{what} in a page", limit, "ask for fewer")
    return slice(offset, offset + limit)


def is_limited(pagination: Any) -> bool:
    return is_given(pagination) and is_given(pagination.limit)


class Readable(FieldExtension):
    """A field of rows is null for those who may not read it; what they may was asked with the rows."""

    def __init__(self, resource: str, field: str) -> None:
        self._resource, self._field = resource, field

    def resolve(self, next_: Callable[..., Any], source: Any, info: Info[Context, None], **kwargs: Any) -> Any:
        unreadable = info.context.unreadable.get(self._resource)
        if unreadable is None or self._field in unreadable:
            return None
        return next_(source, info, **kwargs)
