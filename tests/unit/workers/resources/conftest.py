"""A registry of one's own."""

from __future__ import annotations

import pytest

from bulkql.workers.resources import registry as module


@pytest.fixture
def registry(monkeypatch):
    """A registry of its own, empty."""
    empty = {}
    monkeypatch.setattr(module, "_registry", empty)
    monkeypatch.setattr("bulkql.workers.resources.checks._registry", empty)
    return empty
