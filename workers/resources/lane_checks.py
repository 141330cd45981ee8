"""Registrations -> the lane of each resource and why, in Django's system checks; and what no lane gets right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Info, register
from django.db import models

from bulkql.workers.enums import Lane, Verb
from bulkql.workers.resources.lanes import Reason, has_several_tables, lane_of, reasons
from bulkql.workers.resources.registry import BulkResource, _registry
from bulkql.workers.resources.trees import is_placed_by_method, numbered_fields


@register("bulkql")
def check_lanes(**_: Any) -> list[CheckMessage]:
    """All registered resources whose fields are right; other checks name those that are not."""
    known = [resource for resource in _registry.values() if has_known_fields(resource)]
    return [message for resource in known for message in (*lane_errors(resource), *lane_notes(resource))]


def has_known_fields(resource: BulkResource) -> bool:
    known = {field.name for field in resource.model._meta.get_fields() if getattr(field, "concrete", False)}
    return {*resource.fields} <= known


def lane_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """What a resource says of its lane and the model does not bear."""
    rules, model = type(resource).__qualname__, resource.model
    if resource.writes not in Lane.values:
        yield Error(
            f"{rules} has writes = {resource.writes!r}.",
            hint="It is bulkql.AUTO, bulkql.COPY or bulkql.SAVE.",
            id="bulkql.E070",
        )
    if resource.writes == Lane.COPY and has_several_tables(model):
        yield Error(
            f"{rules} has writes = bulkql.COPY, and {resource.label} inherits from another table, which COPY cannot "
            "fill.",
            hint="Leave `writes` out: then its rows are saved one by one.",
            id="bulkql.E006",
        )
    numbered = numbered_fields(model)
    if resource.writes == Lane.COPY and numbered:
        yield Error(
            f"{rules} has writes = bulkql.COPY, and {resource.label} is a tree, whose {', '.join(sorted(numbered))} "
            "only its own methods keep right.",
            hint="Leave `writes` out: then its rows are saved one by one.",
            id="bulkql.E071",
        )
    for name in sorted(numbered & {*resource.fields}):
        yield Error(
            f"{rules} names {name}, by which the tree of {resource.label} keeps its order; rows that give it would "
            "corrupt the tree.",
            hint=f"Leave {name} out of `fields`.",
            id="bulkql.E072",
        )
    creating = sorted(verb for verb in (Verb.CREATE, Verb.UPSERT, Verb.SYNC) if verb in resource.operations)
    if is_placed_by_method(model) and creating:
        yield Error(
            f"{rules} offers {', '.join(creating)}, and new nodes of {resource.label} get their place in the tree "
            "from add_root() and add_child(), which save() does not call.",
            hint='Offer the other verbs: operations = bulkql.ALL - {"CREATE", "UPSERT", "SYNC"}.',
            id="bulkql.E073",
        )


def lane_notes(resource: BulkResource) -> Iterator[CheckMessage]:
    """Why rows are not copied, or what is skipped where they are all the same."""
    found = list(reasons(resource))
    if not found:
        return
    if resource.writes == Lane.COPY:
        yield Info(
            f"{resource.label} is written by COPY, which skips: {reasons_in_words(found)}.",
            hint=f"{type(resource).__qualname__} has writes = bulkql.COPY; with bulkql.AUTO it would not be copied.",
            id="bulkql.I074",
        )
    elif resource.writes == Lane.AUTO:
        yield Info(
            f"{resource.label} is saved row by row, because COPY would skip: {reasons_in_words(found)}.",
            hint=f"COPY is many times as fast. If all of this may be skipped, set writes = bulkql.COPY in "
            f"{type(resource).__qualname__}.",
            id="bulkql.I075",
        )


def reasons_in_words(found: list[Reason]) -> str:
    """Reasons, each with its verbs where it is not one of all of them."""
    return "; ".join(f"{one.words} ({verbs_in_words(one.verbs)})" for one in found)


def verbs_in_words(verbs: frozenset[Verb]) -> str:
    return ", ".join(verb.lower() for verb in Verb if verb in verbs and verb.takes_rows)


def lane_lines() -> list[str]:
    """A line for each resource: its name, and the lane of its verbs. `bulkql check` prints them."""
    width = max((len(resource.name) for resource in _registry.values()), default=0)
    return [f"{resource.name:<{width}}  {lanes_in_words(resource)}" for resource in _registry.values()]


def lanes_in_words(resource: BulkResource) -> str:
    offered = [verb for verb in Verb if verb in resource.operations and verb.takes_rows]
    by_lane = {lane: [verb for verb in offered if lane_of(resource, verb) == lane] for lane in (Lane.COPY, Lane.SAVE)}
    taken = {lane: verbs for lane, verbs in by_lane.items() if verbs}
    if len(taken) == 1:
        (lane,) = taken
        return lane.value
    return ", ".join(f"{lane.value} ({', '.join(verb.lower() for verb in verbs)})" for lane, verbs in taken.items())


def may_be_filled(resource: BulkResource, field: models.Field[Any, Any]) -> bool:
    """Whether a field that rows do not give may get its value all the same: the tree's, or by code that save() runs."""
    remote = field.remote_field
    if field.name in numbered_fields(resource.model) or getattr(remote, "parent_link", False):
        return True
    if not has_known_fields(resource):
        return False
    return any(lane_of(resource, verb) == Lane.SAVE for verb in (Verb.CREATE, Verb.UPSERT, Verb.SYNC))
