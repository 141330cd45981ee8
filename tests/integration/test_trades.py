"""Unique values that change hands inside a request."""

from __future__ import annotations

import pytest

from bulkql.workers.enums import OnError, Verb
from tests.zoo.models import Toy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("chunk_size", [1, 2, 10])
@pytest.mark.parametrize("on_error", OnError)
@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.REPLACE])
def test_two_rows_swap(bulk, verb, on_error, chunk_size):
    Toy.objects.bulk_create([Toy(pk=1, sku="a", name="car"), Toy(pk=2, sku="b", name="ball")])

    done = bulk(
        verb,
        "toys",
        [{"id": 1, "sku": "b", "name": "x"}, {"id": 2, "sku": "a", "name": "x"}],
        on_error=on_error,
        chunk_size=chunk_size,
    )

    assert (done.outcomes, done.codes) == (["UPDATED", "UPDATED"], [])
    assert dict(Toy.objects.values_list("pk", "sku")) == {1: "b", 2: "a"}
