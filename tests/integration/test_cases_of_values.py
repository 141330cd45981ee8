"""Files whose values are spelt as people and programs spell them, each with what becomes of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from tests.integration.cases import SEEDED, SEMICOLON, Case, cases, check, parquet, parquet_of

pytestmark = pytest.mark.django_db(transaction=True)

DAY = [{"code": "A", "day": "2024-12-31"}]
PRICES = [{"code": "A", "price": "1.50"}, {"code": "B", "price": "2.25"}]
#: Bytes that are no UTF-8, in a column that says that it holds texts.
NO_TEXT = pa.array([b"A", b"\xff\xfe"], pa.binary())


def prices(kind: pa.DataType) -> bytes:
    return parquet(code=["A", "B"], price=pa.array([Decimal("1.50"), Decimal("2.25")], kind))


@cases(
    Case("decimal-trailing-zeros-parquet.parquet", prices(pa.decimal128(18, 4)), PRICES),
    Case("decimal38-18-parquet.parquet", prices(pa.decimal128(38, 18)), PRICES),
    Case(
        "decimal-trailing-zeros-csv.csv",
        b"code,price,qty\nA,19.9900,5.000\nB,5.000,1\n",
        [{"code": "A", "price": "19.99", "qty": 5}, {"code": "B", "price": "5.00", "qty": 1}],
    ),
    Case(
        "date-as-midnight-parquet.parquet",
        parquet(
            code=["A"],
            at=pa.array([datetime(2024, 12, 31, 23, 0, 0, 123000)], pa.timestamp("ms")),
            day=pa.array([datetime(2024, 12, 31)], pa.timestamp("ms")),
        ),
        [{**DAY[0], "at": "2024-12-31 23:00:00.123000+00:00"}],
    ),
    Case("date64-parquet.parquet", parquet(code=["A"], day=pa.array([datetime(2024, 12, 31)], pa.date64())), DAY),
    Case("date-as-midnight-csv.csv", b"code,day\nA,2024-12-31 00:00:00\n", DAY),
    Case(
        "parquet-decimal256.parquet",
        prices(pa.decimal256(50, 2)),
        refusal="The column 'price' is of the type decimal256(50, 2); write it as decimal128, or as texts.",
    ),
    Case(
        "parquet-invalid-utf8.parquet",
        parquet(code=NO_TEXT.view(pa.string()), name=["x", "y"]),
        [{"code": "A", "name": "x"}],
        [(None, "INVALID", "not bytes that are not UTF-8")],
    ),
    Case(
        "parquet-invalid-utf8-in-bytes.parquet",
        parquet(code=NO_TEXT, name=pa.array([b"x", b"y"], pa.binary())),
        [{"code": "A", "name": "x"}],
        [(None, "INVALID", "not bytes that are not UTF-8")],
    ),
    Case(
        "parquet-float-code.parquet",
        parquet(code=[123.0, 7.0], qty=[1, 2]),
        [{"code": "123", "qty": 1}, {"code": "7", "qty": 2}],
    ),
    Case(
        "int96-ns.parquet",
        parquet_of(
            pa.table({"code": ["A"], "at": pa.array([datetime(2024, 12, 31, 23, 0, 0, 123456)], pa.timestamp("ns"))}),
            use_deprecated_int96_timestamps=True,
        ),
        [{"code": "A", "at": "2024-12-31 23:00:00.123456+00:00"}],
    ),
)
def test_typed_values_are_what_they_say(ask, user, case):
    check(ask, user, case)


@cases(
    Case(
        "padded-keys-upsert.csv",
        b"code,name\nA ,upd\n B,upd\n",
        [{**SEEDED[0], "name": "upd"}, {**SEEDED[1], "name": "upd"}, SEEDED[2]],
        verb="Upsert",
        options={"trim": True},
        is_seeded=True,
    ),
    Case(
        "padded-keys-upsert-as-they-stand.csv",
        b"code,name\nA ,upd\n B,upd\n",
        [*SEEDED, {"code": "A ", "name": "upd"}, {"code": " B", "name": "upd"}],
        verb="Upsert",
        is_seeded=True,
    ),
    Case(
        "padded-values.csv",
        b"code,day,active,qty\nA, 2024-12-31, true, 5\n",
        [{"code": "A", "qty": 5, "active": True, "day": "2024-12-31"}],
    ),
)
def test_blanks_around_values_count_for_texts_alone(ask, user, case):
    check(ask, user, case)


NEITHER = (
    "means neither true (true, True, TRUE, t, 1) nor false (false, False, FALSE, f, 0); "
    "`trueValues` and `falseValues` name others."
)


@cases(
    Case(
        "yes-no.csv",
        b"code,active\nA,Yes\nB,No\nC,TRUE\nD,None\n",
        [{"code": "C", "active": True}],
        [(2, "INVALID", NEITHER), (3, "INVALID", NEITHER), (5, "INVALID", NEITHER)],
    ),
    Case(
        "yes-no-said.csv",
        b"code,active\nA,Yes\nB,No\nC,TRUE\n",
        [{"code": "A", "active": True}, {"code": "B", "active": False}, {"code": "C", "active": True}],
        options={"trueValues": ["yes"], "falseValues": ["no"]},
    ),
    Case(
        "choice-label.csv",
        b"code,colour\nA,R\nB,Red\n",
        [{"code": "A", "colour": "R"}],
        [(3, "NOT_A_CHOICE", "“Red” is none of the choices: R (Red), G (Green).")],
    ),
    Case(
        "decimal-comma.csv",
        b"code;price\nA;1,5\nB;1.234,50\n",
        [],
        [
            (2, "INVALID", 'With `decimal: ","` it is 1.5.'),
            (3, "INVALID", 'With `decimal: ","` it is 1234.50.'),
        ],
        options=SEMICOLON,
    ),
    Case(
        "decimal-comma-said.csv",
        b"code;price\nA;1,5\nB;1.234,50\n",
        [{"code": "A", "price": "1.50"}, {"code": "B", "price": "1234.50"}],
        options={**SEMICOLON, "decimal": ","},
    ),
    Case(
        "dates-dmy.csv",
        b"code,day\nA,31/12/2024\nB,23/10/2022\n",
        [],
        [
            (2, "INVALID", "`dateFormat` sets another order, such as %d/%m/%Y."),
            (3, "INVALID", "`dateFormat` sets another order, such as %d/%m/%Y."),
        ],
    ),
    Case(
        "dates-dmy-said.csv",
        b"code,day\nA,31/12/2024\nB,23/10/2022\n",
        [*DAY, {"code": "B", "day": "2022-10-23"}],
        options={"dateFormat": "%d/%m/%Y"},
    ),
)
def test_other_spellings_are_errors_that_name_the_way_out(ask, user, case):
    check(ask, user, case)


@cases(
    Case(
        "scientific-int.csv",
        b"code,qty\nA,1.23E+05\nB,007\n",
        [{"code": "B", "qty": 7}],
        [(2, "INVALID", "“1.23E+05” value must be an integer.")],
    ),
    Case("leading-zeros.csv", b"code,name\n00123,00045\n", [{"code": "00123", "name": "00045"}]),
    Case("empty-date.csv", b"code,day\nA,\n", [{"code": "A"}]),
    Case("boolean-zero.csv", b"code,active\nA,0\n", [{"code": "A", "active": False}]),
)
def test_texts_are_no_more_than_they_say(ask, user, case):
    check(ask, user, case)
