"""bulkCreate against the real PostgreSQL."""

from __future__ import annotations

import pytest

from examples.ledger.models import FinancialAccount

pytestmark = pytest.mark.django_db(transaction=True)


def test_rows_are_written_in_input_order(create):
    done = create("financialAccounts", [{"name": "Cash"}, {"name": "Bank"}, {"name": "Safe"}])

    names = FinancialAccount.objects.order_by("pk").values_list("name", flat=True)
    assert list(names) == ["Cash", "Bank", "Safe"]
    assert [row["pk"] for row in done.results] == [str(pk) for pk in FinancialAccount.objects.order_by("pk").values_list("pk", flat=True)]


def test_every_field_type_is_written(create):
    rows = [
        {"char": "minimal"},
        {
            "big": 2**62, "binary": "AAEC", "boolean": False, "char": "full", "date": "2024-02-29",
            "datetime": "2024-02-29T12:00:00+02:00", "decimal": "1234.50", "duration": "1 02:03:04", "email": "a@b.org",
            "number": 1.5, "address": "::1", "integer": 4, "json": {"a": [1, None, "x"]}, "positive": 3, "shout": " hey ",
            "size": "LARGE", "slug": "a-b", "plate": "AB-12", "text": "line\nbreak, \"quoted\" \\. ", "time": "10:11:12",
            "token": "12345678-1234-5678-1234-567812345678", "keeper": None, "born": "2020-01-01T00:00:00Z",
        },
    ]

    done = create("animals", rows)

    assert done.errors == []
    assert done.outcomes == ["CREATED", "CREATED"]
