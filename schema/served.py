"""The schema that the views serve: a project's own, merged with ours, or ours alone."""

from __future__ import annotations

from typing import cast

import strawberry
from django.conf import settings
from django.utils.module_loading import import_string

from bulkql.schema.schema import schema


def served_schema() -> strawberry.Schema:
    """What the setting BULKQL_SCHEMA names, such as "mysite.schema.schema"; without it, the registered resources'."""
    name = getattr(settings, "BULKQL_SCHEMA", None)
    return cast(strawberry.Schema, import_string(name)) if name else schema()
