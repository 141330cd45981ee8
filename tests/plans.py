"""Plans, as tests ask for them."""

from __future__ import annotations

from workers.models import Kind
from workers.plan import Plan
from workers.resources import BulkResource


def creating(resource: BulkResource) -> Plan:
    """What bulkCreate does with a resource's rows."""
    return Plan(resource=resource, kind=Kind.CREATE)
