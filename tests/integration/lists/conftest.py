"""A note with tags, and each writer in turn."""

from __future__ import annotations

import pytest

from bulkql.workers.writers import links
from tests.integration.writers import WRITERS, write_by
from tests.zoo.models import Keeper, Note, Tag


@pytest.fixture(params=WRITERS, autouse=True)
def _writer(request, monkeypatch):
    """Everything by COPY, by the ORM's bulk methods, and one by one."""
    write_by(request.param, monkeypatch)
    if request.param == "orm":
        monkeypatch.setattr(links, "add_by_copy", links.add_by_orm)


@pytest.fixture
def tags():
    """Tags a to d, as their primary keys."""
    return [Tag.objects.create(name=name, color="red", number=place).pk for place, name in enumerate("abcd")]


@pytest.fixture
def note(tags):
    """A note with tags a and b, kept by somebody."""
    note = Note.objects.create(title="first", text="x")
    note.tags.set(tags[:2])
    note.keepers.add(Keeper.objects.create(code="ada"))
    return note
