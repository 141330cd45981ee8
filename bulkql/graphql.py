"""Registered resources -> types to inherit from, and a schema class that serves them, for a project's own schema.

Import it where models may be imported: in the module that builds the schema, which the setting BULKQL_SCHEMA names.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps

from bulkql.schema.mutations import mutation_type
from bulkql.schema.queries import query_type
from bulkql.schema.schema import Schema
from bulkql.schema.subscriptions import Subscription
from bulkql.workers.resources.registry import registered

__all__ = ["Mutation", "Query", "Schema", "Subscription"]

if not apps.ready:
    raise RuntimeError("bulkql.graphql needs every bulk.py: import it from the schema's module, not from an app's.")

#: Operations, resources, and a list query for each resource.
Query: Any = query_type(registered())
#: The bulk mutations, and those of operations and uploads.
Mutation: Any = mutation_type(registered())
