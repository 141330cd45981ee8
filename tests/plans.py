"""Plans, as tests ask for them."""

from __future__ import annotations

from bulkql.workers.enums import Verb
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import BulkResource


def creating(resource: BulkResource) -> Plan:
    """What bulkCreate does with a resource's rows."""
    return Plan(resource=resource, verb=Verb.CREATE)
