"""All that write rows, for tests in which each of them does."""

from __future__ import annotations

import pytest

from bulkql.workers.enums import Lane, Verb
from bulkql.workers.operations import rows as writing
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.writers import merging, orm, postgres, table

#: COPY, the ORM's bulk methods, and one by one.
WRITERS = ["postgres", "orm", "save"]
#: The same: whether a model can be copied decides between the first two.
LANES = ["COPY", "ORM", "SAVE"]


def write_by(writer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything goes to one of WRITERS; deletions are COPY's and the ORM's alike."""
    if writer == "save":
        monkeypatch.setattr(BulkResource, "writes", Lane.SAVE)
    if writer == "orm":
        by_verb = writing.writer
        monkeypatch.setattr(writing, "writer", lambda plan: by_verb(plan) if plan.verb == Verb.DELETE else orm.write)


def take_lane(lane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything goes one of LANES."""
    if lane == "SAVE":
        monkeypatch.setattr(BulkResource, "writes", Lane.SAVE)
    if lane == "ORM":
        for module in (postgres, merging, table):
            monkeypatch.setattr(module, "is_copyable", lambda model: False)
