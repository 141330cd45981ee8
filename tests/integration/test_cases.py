"""Files of the kinds that people report in public trackers, each with what becomes of it."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.base import ContentFile

from bulkql.workers.uploads import uploads
from tests.integration.conftest import Refused
from tests.zoo.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENT = """
mutation ($input: Bulk%sInput!) {
  operation: bulk%s(input: $input, options: {mode: SYNC}) {
    state message created updated failed rowErrors { edges { node { index line path code message data } } }
  }
}
"""
SEED = b"code,name,qty,note,price\nA,alpha,1,na,1.00\nB,beta,2,nb,2.00\nC,gamma,3,nc,3.00\n"
#: What of a row tells something: fields that are null or empty do not.
Row = dict[str, Any]


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


def parquet(**columns: Any) -> bytes:
    return table(pa.table(columns))


def table(found: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(found, sink)
    return sink.getvalue()


def zipped(data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.csv", data)
    return sink.getvalue()


SEEDED = [
    {"code": "A", "name": "alpha", "qty": 1, "note": "na", "price": "1.00"},
    {"code": "B", "name": "beta", "qty": 2, "note": "nb", "price": "2.00"},
    {"code": "C", "name": "gamma", "qty": 3, "note": "nc", "price": "3.00"},
]
AX = [{"code": "A", "name": "x"}]
AX_BY = [{"code": "A", "name": "x"}, {"code": "B", "name": "y"}]
OBJECT = {"code": "A", "name": "x"}
SEMICOLON = {"delimiter": ";"}

CASES = [
    Case(
        "inner-quotes-not-doubled.csv",
        b'code,note,qty\nA,"{"role": "cook", "shift": "8"}",1\nB,"say "hi"",2\nC,fine,3\n',
        [{"code": "C", "note": "fine", "qty": 3}],
        [(2, "MALFORMED", "each quote is doubled"), (3, "MALFORMED", "each quote is doubled")],
    ),
    Case(
        "newline-in-unquoted-cell-upsert.csv",
        b"code,name,note\nD,see,first line\nA,and B\nE,eps,x\n",
        [*SEEDED, {"code": "D", "name": "see", "note": "first line"}, {"code": "E", "name": "eps", "note": "x"}],
        [(3, "MALFORMED", "the record has 2 cells, and the header 3")],
        verb="Upsert",
        is_seeded=True,
    ),
    Case(
        "short-records-filled.csv",
        b"code,name,note\nA,new\n",
        [{**SEEDED[0], "name": "new"}, *SEEDED[1:]],
        verb="Upsert",
        options={"shortRecords": "FILL"},
        is_seeded=True,
    ),
    Case(
        "mapping-typo-replace.csv",
        b"code,Bezeichnung,qty\nA,neu,5\n",
        SEEDED,
        refusal="'Bezeichung', but the file has no such column (did you mean 'Bezeichnung'?)",
        verb="Replace",
        options={"columns": [{"from": "Bezeichung", "to": "name"}], "unknownColumns": "IGNORE"},
        is_seeded=True,
    ),
    Case(
        "mapping-typo.ndjson",
        b'{"code": "A", "Bezeichnung": "neu"}\n',
        refusal="did you mean 'Bezeichnung'?",
        options={"columns": [{"from": "Bezeichung", "to": "name"}], "unknownColumns": "IGNORE"},
    ),
    Case(
        "mapping-typo.parquet",
        parquet(code=["A"], Bezeichnung=["neu"]),
        refusal="did you mean 'Bezeichnung'?",
        options={"columns": [{"from": "Bezeichung", "to": "name"}], "unknownColumns": "IGNORE"},
    ),
    Case(
        "mapping-from-twice.csv",
        b"code,T\nA,x\n",
        refusal="`columns` names 'T' 2 times",
        options={"columns": [{"from": "T", "to": "name"}, {"from": " T", "to": "note"}]},
    ),
    Case(
        "mapping-to-a-field-with-a-typo.csv",
        b"code,T\nA,x\n",
        refusal="`columns` maps to nmae (did you mean 'name'?)",
        options={"columns": [{"from": "T", "to": "nmae"}]},
    ),
    Case("utf16-named.csv", b"code,name\nA,xy\n", refusal="utf-16-le", options={"encoding": "utf-16"}),
    Case(
        "utf16le-without-mark.txt",
        "code\tname\r\nA\tü\r\n".encode("utf-16-le"),
        [{"code": "A", "name": "ü"}],
        options={"encoding": "utf-16", "delimiter": "\t"},
    ),
    Case("utf16-unsaid.csv", "code,name\nA,ü\n".encode("utf-16"), [{"code": "A", "name": "ü"}]),
    Case("utf16le-unsaid.csv", "code,name\nA,ü\n".encode("utf-16-le"), [{"code": "A", "name": "ü"}]),
    Case("cp1252-unsaid.csv", "code,name\nA,Müller\n".encode("cp1252"), refusal="'A,Müller' in cp1252 or "),
    Case(
        "overflow-two-cells.csv",
        b"code,name,qty\nA2,Smith, John, Jr.,5\n",
        errors=[(2, "MALFORMED", "the record has 5 cells, and the header 3")],
    ),
    Case(
        "broken-line.ndjson",
        b'{"code":"A","ratio":1}\n{"code":"B","ratio":NaN}\n5\n',
        [{"code": "A", "ratio": 1.0}],
        [(2, "MALFORMED", "NaN"), (3, "MALFORMED", "not a JSON object")],
    ),
    Case(
        "nan-first-line.ndjson",
        b'{"code":"B","ratio":NaN}\n{"code":"A","ratio":1}\n',
        [{"code": "A", "ratio": 1.0}],
        [(1, "MALFORMED", "NaN")],
    ),
    Case(
        "cp1252.ndjson",
        '{"code":"A","name":"Müller"}\n'.encode("cp1252"),
        [{"code": "A", "name": "Müller"}],
        options={"encoding": "cp1252"},
    ),
    Case("cp1252-unsaid.ndjson", '{"code":"A","name":"ü"}\n'.encode("cp1252"), refusal="not UTF-8 (byte 0xfc)"),
    Case("json-array.ndjson", json.dumps([OBJECT, {"code": "B", "name": "y"}]).encode(), AX_BY),
    Case("json-array.json", json.dumps([OBJECT, {"code": "B", "name": "y"}], indent=2).encode(), AX_BY),
    Case("trailing-commas.ndjson", b'{"code":"A"},\n{"code":"B"},\n', refusal="it ends with a comma"),
    Case(
        "pretty-printed-large.ndjson",
        "\n".join(json.dumps({"code": f"P{number}", "name": "x" * 40}, indent=2) for number in range(1500)).encode(),
        [{"code": f"P{number}", "name": "x" * 40} for number in range(1500)],
    ),
    Case(
        "blank-bom-crlf.ndjson",
        b'\xef\xbb\xbf{"code":"A","name":"x"}\r\n\r\n{"code":"B","big":9007199254740993}\r\n\r\n',
        [*AX, {"code": "B", "big": 9007199254740993}],
    ),
    Case("dup-columns.parquet", table(pa.table([["A"], ["x"], ["y"]], names=["code", "name", "name"])), refusal="name"),
    Case(
        "inch-mark.csv",
        b'code,name,qty\nA,pipe 5",1\nB,z,2\n',
        [
            {"code": "A", "name": 'pipe 5"', "qty": 1},
            {"code": "B", "name": "z", "qty": 2},
        ],
    ),
    Case(
        "unclosed-quote.csv",
        b'code,name,qty\nA,x,1\nB,"open,2\nC,y,3\n',
        [{"code": "A", "name": "x", "qty": 1}],
        [(3, "MALFORMED", "the quote that opens a cell at line 3 is never closed")],
    ),
    Case("trailing-delimiters.csv", b"code,name,\nA,x,\nB,y,\n", AX_BY),
    Case("ghost-columns.csv", b"code;name;;;\r\nA;x;;;\r\n;;;;\r\n", AX, options=SEMICOLON),
    Case("whitespace-line.csv", b"code,name\nA,x\n   \n", AX),
    Case("ctrl-z.csv", b"code,name\r\nA,x\r\n\x1a", AX),
    Case("blank-lines.csv", b"code,qty\n\n\nA,x\n", errors=[(4, "INVALID", "")]),
    Case("sep-line.csv", b"sep=;\r\ncode;name\r\nA;x\r\n", AX, options=SEMICOLON),
    Case("sep-line-alone.csv", b"sep=;\r\ncode;name\r\nA;x\r\n", AX),
    Case("tabs.tsv", b"code\tname\nA\tx\n", AX),
    Case("gzip.csv", gzip.compress(b"code,name\nA,x\n"), refusal="This is a gzip file"),
    Case("rows.csv.gz", gzip.compress(b"code,name\nA,x\n"), AX),
    Case("zip.csv", zipped(b"code,name\nA,x\n"), refusal="This is a zip file, as .xlsx and .ods files are too"),
    Case("ndjson.csv", b'{"code":"A","name":"x"}\n', refusal="it looks like NDJSON"),
    Case("ndjson", b'{"code":"A","name":"x"}\n', AX),
    Case("semicolon.csv", b"code;name\nA;x\n", refusal="with ';' 'code', 'name', and the first row 'A', 'x'"),
    Case("cr-only.csv", b"code,name\rA,x\rB,y\r", AX_BY),
    Case("leading-zeros.csv", b"code,name\n00123,00045\n", [{"code": "00123", "name": "00045"}]),
    Case("empty-date.csv", b"code,day\nA,\n", [{"code": "A"}]),
    Case("header-spaces.csv", b'" code ", name \nA,x\n', AX),
    Case("duplicate-header.csv", b"code,name,name\nA,x,y\n", refusal="more than one column for name"),
    Case("bom.csv", b'\xef\xbb\xbf"code","name"\nA,x\n', AX),
    Case("boolean-zero.csv", b"code,active\nA,0\n", [{"code": "A", "active": False}]),
    Case(
        "scientific-int.csv",
        b"code,qty\nA,1.23E+05x\nB,007\n",
        [{"code": "B", "qty": 7}],
        [(2, "INVALID", "")],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_of_the_world_is_read_rightly_or_told_why_not(ask, user, case):
    if case.is_seeded:
        sent(ask, user, Case("seed.csv", SEED, verb="Upsert"))

    operation = sent(ask, user, case)

    assert case.refusal in (operation["message"] or "")
    assert bool(case.refusal) == bool(operation["message"])
    assert table_rows() == case.rows
    nodes = [edge["node"] for edge in operation["rowErrors"]["edges"]]
    assert [(node["line"], node["code"]) for node in nodes] == [(line, code) for line, code, _ in case.errors]
    assert all(words in node["message"] for node, (_, _, words) in zip(nodes, case.errors, strict=True))


def sent(ask: Any, user: Any, case: Case) -> Any:
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
    return [
        {name: str(value) if name == "price" else value for name, value in row.items() if says_something(name, value)}
        for row in rows
    ]


def says_something(name: str, value: Any) -> bool:
    return name != "id" and value is not None and value != ""


@pytest.mark.parametrize("again", [SEED, SEED.replace(b"gamma", b"delta")])
def test_the_same_bytes_sent_again_under_one_key_are_the_same_input(ask, user, again):
    document = """
        mutation ($input: BulkCreateInput!) {
          bulkCreate(input: $input, options: {mode: SYNC, idempotencyKey: "once"}) { id created }
        }
    """

    def create(data: bytes) -> Any:
        upload = uploads.fill(uploads.announce(user, "items.csv", None), ContentFile(data))
        return ask(user, document, input={"items": {"file": {"uploadId": str(upload.pk)}}})["bulkCreate"]

    first = create(SEED)

    if again == SEED:
        assert create(again) == first
    else:
        with pytest.raises(Refused, match="IDEMPOTENCY_CONFLICT"):
            create(again)
    assert Item.objects.count() == first["created"] == 3
