"""Passwords and write-only fields are neither stored as they come nor read."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User

from tests.unit.workers.resources.unfit import found
from tests.zoo.models import Note, Tag


def test_passwords_are_not_stored_as_they_come():
    fields = tuple(one.name for one in User._meta.concrete_fields if one.name != "id")

    assert found(User, name="people", fields=fields) == [
        (
            "bulkql.E018",
            "Wrong names password, which holds passwords: they would be stored and shown in plain text.",
            "Leave it out of `fields`, or say how it is written: "
            'written_as = {"password": make_password} (django.contrib.auth.hashers), or '
            'write_only_fields = ("password",) and a before_write that hashes it.',
        )
    ]
    assert found(User, name="people", fields=fields, written_as={"password": make_password}) == []
    made = {"write_only_fields": ("password",), "before_write": lambda self, rows: rows}
    assert found(User, name="people", fields=fields, **made) == []


def test_write_only_fields_are_values_by_which_no_row_is_found():
    taken_out = "or add it to `fields`. Relations are hidden by readable_fields."
    found_by = "or out of `match_fields`; primary keys are shown."

    fields = {"fields": ("id", "title", "text", "tags"), "match_fields": ("title",)}
    assert found(Note, **fields, write_only_fields=("text",)) == []
    assert found(Note, **fields, write_only_fields=("tags", "changed", "title", "id")) == [
        (
            "bulkql.E050",
            f"Wrong has the write-only field {name}, which is no value among its fields.",
            f"Take {name} out of `write_only_fields`, {taken_out}",
        )
        for name in ("tags", "changed")
    ] + [
        (
            "bulkql.E051",
            f"Wrong has the write-only field {name}, by which rows are found.",
            f"Take {name} out of `write_only_fields`, {found_by}",
        )
        for name in ("title", "id")
    ]


def test_what_is_written_in_a_way_of_its_own_is_a_text():
    assert found(Tag, fields=("name", "number"), written_as={"number": str, "color": str}) == [
        (
            "bulkql.E019",
            f"Wrong says how {name} is written, which is no text among its fields.",
            f"Take {name} out of `written_as`, or add it to `fields`.",
        )
        for name in ("number", "color")
    ]
