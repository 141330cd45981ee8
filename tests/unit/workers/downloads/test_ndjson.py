"""Rows in the shape in which they were sent."""

from __future__ import annotations

from bulkql.workers.downloads.ndjson import nested


def test_the_fields_of_a_key_stand_together_in_an_object():
    row = {"amount": "1", "parentBy.code": "a", "note": None, "parentBy.year": 5, "a.b": 1}

    assert nested(row, frozenset({"parentBy", "parent_by"})) == {
        "amount": "1",
        "parentBy": {"code": "a", "year": 5},
        "note": None,
        "a.b": 1,
    }
