"""Files of the shapes that people report in public trackers, each with what becomes of it.

Those of values are in test_cases_of_values.py, and those that come back in test_cases_returned.py.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import Any

import pyarrow as pa
import pytest
from django.core.files.base import ContentFile

from bulkql.workers.uploads import uploads
from tests.integration.cases import SEED, SEEDED, SEMICOLON, Case, cases, check, parquet, parquet_of
from tests.integration.conftest import Refused
from tests.zoo.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


def zipped(data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.csv", data)
    return sink.getvalue()


AX = [{"code": "A", "name": "x"}]
AX_BY = [{"code": "A", "name": "x"}, {"code": "B", "name": "y"}]
OBJECT = {"code": "A", "name": "x"}


@cases(
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
    Case("utf16-named-without-bom.csv", b"code,name\nA,xy\n", refusal="utf-16-le", options={"encoding": "utf-16"}),
    Case(
        "utf16le-text-without-bom.txt",
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
        "ndjson-broken-line.ndjson",
        b'{"code":"A","ratio":1}\n{"code":"B","ratio":NaN}\n5\n',
        [{"code": "A", "ratio": 1.0}],
        [(2, "MALFORMED", "NaN"), (3, "MALFORMED", "not a JSON object")],
    ),
    Case(
        "ndjson-nan-first-line.ndjson",
        b'{"code":"B","ratio":NaN}\n{"code":"A","ratio":1}\n',
        [{"code": "A", "ratio": 1.0}],
        [(1, "MALFORMED", "NaN")],
    ),
    Case(
        "ndjson-cp1252.ndjson",
        '{"code":"A","name":"Müller"}\n'.encode("cp1252"),
        [{"code": "A", "name": "Müller"}],
        options={"encoding": "cp1252"},
    ),
    Case("cp1252-unsaid.ndjson", '{"code":"A","name":"ü"}\n'.encode("cp1252"), refusal="not UTF-8 (byte 0xfc)"),
    Case("json-array.ndjson", json.dumps([OBJECT, {"code": "B", "name": "y"}]).encode(), AX_BY),
    Case("json-array.json", json.dumps([OBJECT, {"code": "B", "name": "y"}], indent=2).encode(), AX_BY),
    Case("ndjson-trailing-commas.ndjson", b'{"code":"A"},\n{"code":"B"},\n', refusal="it ends with a comma"),
    Case(
        "ndjson-pretty-printed-large.ndjson",
        "\n".join(json.dumps({"code": f"P{number}", "name": "x" * 40}, indent=2) for number in range(1500)).encode(),
        [{"code": f"P{number}", "name": "x" * 40} for number in range(1500)],
    ),
    Case(
        "ndjson-blank-bom-crlf.ndjson",
        b'\xef\xbb\xbf{"code":"A","name":"x"}\r\n\r\n{"code":"B","big":9007199254740993}\r\n\r\n',
        [*AX, {"code": "B", "big": 9007199254740993}],
    ),
    Case(
        "parquet-dup-columns.parquet",
        parquet_of(pa.table([["A"], ["x"], ["y"]], names=["code", "name", "name"])),
        refusal="more than one column for name",
    ),
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
    Case("excel-ghost-columns.csv", b"code;name;;;\r\nA;x;;;\r\n;;;;\r\n", AX, options=SEMICOLON),
    Case("whitespace-line.csv", b"code,name\nA,x\n   \n", AX),
    Case("dos-ctrl-z.csv", b"code,name\r\nA,x\r\n\x1a", AX),
    Case("blank-lines.csv", b"code,qty\n\n\nA,x\n", errors=[(4, "INVALID", "")]),
    Case("sep-line.csv", b"sep=;\r\ncode;name\r\nA;x\r\n", AX, options=SEMICOLON),
    Case("sep-line-alone.csv", b"sep=;\r\ncode;name\r\nA;x\r\n", AX),
    Case("tabs.tsv", b"code\tname\nA\tx\n", AX),
    Case("gzip-named-csv.csv", gzip.compress(b"code,name\nA,x\n"), refusal="This is a gzip file"),
    Case("rows.csv.gz", gzip.compress(b"code,name\nA,x\n"), AX),
    Case(
        "zip-named-csv.csv", zipped(b"code,name\nA,x\n"), refusal="This is a zip file, as .xlsx and .ods files are too"
    ),
    Case("ndjson-named-csv.csv", b'{"code":"A","name":"x"}\n', refusal="it looks like NDJSON"),
    Case("ndjson", b'{"code":"A","name":"x"}\n', AX),
    Case(
        "semicolon-no-delimiter.csv", b"code;name\nA;x\n", refusal="with ';' they would be 'code', 'name', and 'A', 'x'"
    ),
    Case("cr-only.csv", b"code,name\rA,x\rB,y\r", AX_BY),
    Case("header-spaces.csv", b'" code ", name \nA,x\n', AX),
    Case("duplicate-header.csv", b"code,name,name\nA,x,y\n", refusal="more than one column for name"),
    Case("bom-utf8.csv", b'\xef\xbb\xbf"code","name"\nA,x\n', AX),
)
def test_a_file_of_the_world_is_read_rightly_or_told_why_not(ask, user, case):
    check(ask, user, case)


def test_options_that_are_null_are_the_defaults(ask, user):
    options = dict.fromkeys(["unknownColumns", "shortRecords", "emptyCells", "trim", "format", "delimiter"])
    document = """
        mutation {
          bulkCreate(input: {items: {rows: [{code: "B"}]}}, options: {mode: null, onError: null, dryRun: null}) {
            state dryRun onError created
          }
        }
    """

    check(ask, user, Case("null.csv", b"code,name\nA,x\n", AX, options=options))

    assert ask(user, document)["bulkCreate"] == {
        "state": "COMPLETED",
        "dryRun": False,
        "onError": "SKIP_ROWS",
        "created": 1,
    }


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
