"""What a model or a receiver raised -> row errors; what no row is to blame for is raised on."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, InterfaceError, OperationalError, models

from bulkql.workers.columns.column import Column
from bulkql.workers.errors import BulkError, Code, RowError, place_of, tracebacks
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.validation.hooks import row_errors_of
from bulkql.workers.writers.violations import is_of_a_row, violation_of

logger = logging.getLogger("bulkql")


class Refused(Exception):
    """A row that is not to be written, with its row error."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.code)
        self.error = error


def row_errors_from(resource: BulkResource, error: Exception, reported: set[str]) -> Iterable[RowError]:
    """The errors of the row whose saving raised this. `reported`: the places of which the log was told before."""
    if isinstance(error, Refused):
        return [error.error]
    if isinstance(error, ValidationError):
        return list(row_errors_of(error))
    if isinstance(error, PermissionDenied):
        return [RowError(None, Code.FORBIDDEN, f"You may not do this to a {resource.model._meta.verbose_name}.")]
    # Outages, deadlocks, limits of time: the next try will see.
    if isinstance(error, OperationalError | InterfaceError | BulkError):
        raise error
    # Protected rows raise an IntegrityError too, which Django makes itself.
    if isinstance(error, DatabaseError) and is_of_a_row(error):
        return [violation_of(resource, error)]
    place = place_of(error)
    if place not in reported:
        reported.add(place)
        logger.warning("%s: a row was refused by %s", resource.label, place)
    kind = type(error).__qualname__
    message = f"The model's own code raised {kind}; the worker's log says where."
    return [RowError(field_that_raised(resource, error), Code.INVALID, message)]


def field_that_raised(resource: BulkResource, error: Exception) -> str | None:
    """The field of the resource whose own code raised it, as where save() sets a value of another type."""
    names = {column.field: column.graphql_name for column in resource.columns.values()}
    owners = (step.tb_frame.f_locals.get("self") for step in tracebacks(error))
    found = [names[one] for one in owners if isinstance(one, models.Field) and one in names]
    return found[-1] if found else None


def gone(resource: BulkResource) -> RowError:
    """A row that an earlier one of the request took along."""
    name = resource.model._meta.verbose_name
    return RowError(None, Code.NOT_FOUND, f"This {name} was deleted while an earlier row of the request was saved.")


def protected_field(column: Column) -> RowError:
    """A field that the model lets nobody set."""
    message = "The model does not allow this field to be set; only its own methods change it. Leave it out."
    return RowError(column.graphql_name, Code.REJECTED, message)
