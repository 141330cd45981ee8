"""A type of PostgreSQL whose texts are compared without their case, as citext is: that needs a library of its own."""

from __future__ import annotations

from typing import Any

from django.db import connections

OPERATORS = {"lt": "<", "le": "<=", "eq": "=", "ge": ">=", "gt": ">"}
COMPARING = "".join(
    f"""
    CREATE FUNCTION anycase_{name}(anycase, anycase) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT
        RETURN lower($1::text COLLATE "C") {operator} lower($2::text COLLATE "C");
    CREATE OPERATOR {operator} (FUNCTION = anycase_{name}, LEFTARG = anycase, RIGHTARG = anycase{more});
    """
    for name, operator in OPERATORS.items()
    for more in [", COMMUTATOR = =, HASHES, MERGES" if operator == "=" else ""]
)
SQL = f"""
CREATE TYPE anycase;
CREATE FUNCTION anycase_in(cstring) RETURNS anycase LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION anycase_out(anycase) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE anycase (INPUT = anycase_in, OUTPUT = anycase_out, LIKE = text, CATEGORY = 'S', COLLATABLE = true);
CREATE CAST (anycase AS text) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (text AS anycase) WITHOUT FUNCTION AS ASSIGNMENT;
{COMPARING}
CREATE FUNCTION anycase_cmp(anycase, anycase) RETURNS integer LANGUAGE sql IMMUTABLE STRICT
    RETURN bttextcmp(lower($1::text COLLATE "C"), lower($2::text COLLATE "C"));
CREATE FUNCTION anycase_hash(anycase) RETURNS integer LANGUAGE sql IMMUTABLE STRICT
    RETURN hashtext(lower($1::text COLLATE "C"));
-- hash_record_extended() does not say whether its seed is null, which C functions do not ask.
CREATE FUNCTION anycase_hash(anycase, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
    RETURN hashtextextended(lower($1::text COLLATE "C"), 0);
CREATE OPERATOR CLASS anycase_btree DEFAULT FOR TYPE anycase USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 anycase_cmp(anycase, anycase);
CREATE OPERATOR CLASS anycase_hash DEFAULT FOR TYPE anycase USING hash AS
    OPERATOR 1 =, FUNCTION 1 anycase_hash(anycase), FUNCTION 2 anycase_hash(anycase, bigint);
"""


def create(sender: Any, using: str, **_: Any) -> None:
    """Have the type where tables of the zoo are about to be made."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regtype('anycase')")
        if cursor.fetchone() == (None,):
            cursor.execute(SQL)
