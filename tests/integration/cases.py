"""A file that people send -> what becomes of it: rows of the table, row errors, or why all of it is refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.base import ContentFile

from bulkql.workers.uploads import uploads
from tests.integration.conftest import Refused
from tests.zoo.models import Item

DOCUMENT = """
mutation ($input: Bulk%sInput!) {
  operation: bulk%s(input: $input, options: {mode: SYNC}) {
    id state message created updated failed rowErrors { edges { node { index line path code message data } } }
  }
}
"""
SEED = b"code,name,qty,note,price\nA,alpha,1,na,1.00\nB,beta,2,nb,2.00\nC,gamma,3,nc,3.00\n"
#: What of a row tells something: fields that are null or empty do not.
Row = dict[str, Any]

SEEDED: list[Row] = [
    {"code": "A", "name": "alpha", "qty": 1, "note": "na", "price": "1.00"},
    {"code": "B", "name": "beta", "qty": 2, "note": "nb", "price": "2.00"},
    {"code": "C", "name": "gamma", "qty": 3, "note": "nc", "price": "3.00"},
]
SEMICOLON = {"delimiter": ";"}


@dataclass(frozen=True)
class Case:
    """A file, how it is sent, the rows that are there then, and the row errors: line, code, words of the message."""

    name: str
    data: bytes
    rows: list[Row] = field(default_factory=list)
    errors: list[tuple[int | None, str, str]] = field(default_factory=list)
    #: Words of the message where all of it is refused.
    refusal: str = ""
    verb: str = "Create"
    options: dict[str, Any] = field(default_factory=dict)
    is_seeded: bool = False


def cases(*found: Case) -> Any:
    """A parameter `case` that takes these, by their names."""
    return pytest.mark.parametrize("case", found, ids=lambda case: case.name)


def check(ask: Callable[..., Any], user: Any, case: Case) -> None:
    """Send a case's file, and look at the table and the row errors."""
    if case.is_seeded:
        sent(ask, user, Case("seed.csv", SEED, verb="Upsert"))

    operation = sent(ask, user, case)

    assert case.refusal in (operation["message"] or "")
    assert bool(case.refusal) == bool(operation["message"])
    assert table_rows() == case.rows
    nodes = [edge["node"] for edge in operation["rowErrors"]["edges"]]
    assert [(node["line"], node["code"]) for node in nodes] == [(line, code) for line, code, _ in case.errors]
    for node, (_, _, words) in zip(nodes, case.errors, strict=True):
        assert words in node["message"]


def sent(ask: Callable[..., Any], user: Any, case: Case) -> Any:
    """The operation of a case; a refused one has nothing but its message."""
    upload = uploads.fill(uploads.announce(user, case.name, None), ContentFile(case.data))
    given = {"items": {"file": {"uploadId": str(upload.pk), **case.options}}}
    try:
        return ask(user, DOCUMENT % (case.verb, case.verb), input=given)["operation"]
    except Refused as refused:
        ((code, message),) = refused.args[0]
        assert code == "BAD_INPUT"
        return {"message": message, "rowErrors": {"edges": []}}


def table_rows() -> list[Row]:
    rows = Item.objects.order_by("pk").values()
    return [{name: told(name, value) for name, value in row.items() if says_something(name, value)} for row in rows]


def told(name: str, value: Any) -> Any:
    return str(value) if name in ("price", "day", "at") else value


def says_something(name: str, value: Any) -> bool:
    return name != "id" and value is not None and value != ""


def parquet(**columns: Any) -> bytes:
    return parquet_of(pa.table(columns))


def parquet_of(found: pa.Table, **how: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(found, sink, **how)
    return sink.getvalue()
