"""What a document comes to is counted once per fragment, and refused before validation looks at it."""

from __future__ import annotations

import pytest
from graphql import parse

from bulkql.schema.checks.size import Ruler, check_document
from bulkql.workers.errors import LimitExceeded


def doubling(levels: int) -> str:
    """Fragments that each spread the next one twice."""
    texts = [f"fragment F{level} on Query {{ ...F{level + 1} ...F{level + 1} }}" for level in range(levels)]
    return " ".join(["{ ...F0 }", *texts, f"fragment F{levels} on Query {{ __typename }}"])


def test_doubling_fragments_are_refused_by_their_number():
    with pytest.raises(LimitExceeded, match=r"786,431 fields and spreads in the query exceed the limit of 1,000"):
        check_document(parse(doubling(18)))


def test_each_fragment_is_measured_once(monkeypatch):
    measured = []
    size_of = Ruler.size_of
    monkeypatch.setattr(Ruler, "size_of", lambda self, node: measured.append(1) or size_of(self, node))

    with pytest.raises(LimitExceeded):
        check_document(parse(doubling(18)))

    # The operation and 19 fragments; their fields and spreads have no selections of their own but __typename's none.
    assert len(measured) == 21


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{ a " * 22 + "}" * 22,
            "21 levels in the query exceed the limit of 20 (BULKQL_QUERY_DEPTH); ask for the deeper levels in another "
            "request.",
        ),
        (
            "{ " + " ".join(f"a{number}: b" for number in range(31)) + " }",
            "31 aliases in the query exceed the limit of 30 (BULKQL_QUERY_ALIASES); send several requests.",
        ),
        (
            "{ " + "a " * 1001 + "}",
            "1,001 fields and spreads in the query exceed the limit of 1,000 (BULKQL_QUERY_FIELDS); ask for fewer at a "
            "time.",
        ),
        (
            "{ a } " + " ".join(f"fragment F{number} on Query {{ a }}" for number in range(1000)),
            "1,001 fields and spreads in the query exceed the limit of 1,000 (BULKQL_QUERY_FIELDS); ask for fewer at a "
            "time.",
        ),
    ],
)
def test_a_limit_is_named_with_its_value_and_its_setting(text, message):
    with pytest.raises(LimitExceeded) as refused:
        check_document(parse(text))

    assert str(refused.value) == message


def test_aliases_and_levels_count_in_fragments_too():
    text = "{ a { ...F } b { ...F } } fragment F on X { c: d { e: f } }"

    (operation, fragment) = parse(text).definitions
    size = Ruler({"F": fragment}).size_of(operation.selection_set)

    assert (size.depth, size.aliases, size.fields) == (2, 4, 8)


def test_a_chain_of_fragments_is_no_deeper_than_a_query():
    chain = [f"fragment F{number} on Query {{ ...F{number + 1} }}" for number in range(3000)]

    with pytest.raises(LimitExceeded, match="21 levels"):
        check_document(parse(" ".join(["{ ...F0 }", *chain])))


@pytest.mark.parametrize("text", ["{ ...F } fragment F on Query { ...F }", "{ ...Nothing }"])
def test_fragments_that_validation_refuses_are_left_to_it(text):
    check_document(parse(text))
