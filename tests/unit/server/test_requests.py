"""What a request's parameters are, and what they are not."""

from __future__ import annotations

import pytest

from bulkql.server.door.requests import request_data
from bulkql.workers.errors import BadInput, PersistedQueryNotSupported

HASHED = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}}


@pytest.mark.parametrize("query", [{}, {"query": None}])
def test_a_hash_alone_is_answered_as_its_clients_expect(query):
    with pytest.raises(PersistedQueryNotSupported) as refused:
        request_data({**query, **HASHED})

    assert (str(refused.value), refused.value.code) == ("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")


def test_a_hash_beside_its_text_is_passed_over():
    assert request_data({"query": "{ __typename }", **HASHED}).query == "{ __typename }"


@pytest.mark.parametrize("extensions", [None, {}, {"other": 1}])
def test_no_query_and_no_hash_is_bad_input(extensions):
    with pytest.raises(BadInput, match="`query` is missing"):
        request_data({"extensions": extensions})
