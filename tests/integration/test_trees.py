"""Rows that point to rows of their own table: to those before them, whatever the size of chunks."""

from __future__ import annotations

import pytest

from bulkql.workers.enums import Verb
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest
from bulkql.workers.messaging.dispatch import dispatch_chunks
from bulkql.workers.models import Chunk
from bulkql.workers.resources.registry import resource_named
from tests.integration.writers import WRITERS, write_by
from tests.zoo.models import Folder

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=WRITERS, autouse=True)
def _writer(request, monkeypatch):
    """Everything by COPY, by the ORM's bulk methods, and one by one."""
    write_by(request.param, monkeypatch)


def tree():
    return list(Folder.objects.order_by("name").values_list("name", "parent__name"))


def under(name, parent):
    return {"name": name, "parentBy": {"name": parent}} if parent else {"name": name}


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 10])
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPSERT])
def test_rows_point_to_rows_before_them(bulk, verb, chunk_size):
    rows = [("a", None), ("b", "a"), ("c", "b"), ("early", "late"), ("d", "c"), ("late", None), ("e", "a"), ("f", "f")]

    done = bulk(verb, "folders", [under(*row) for row in rows], chunk_size=chunk_size)

    assert done.codes == [
        (3, "parentBy.name", "REFERENCE_NOT_FOUND"),
        (7, "parentBy.name", "REFERENCE_NOT_FOUND"),
    ]
    assert tree() == [("a", None), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "a"), ("late", None)]


@pytest.mark.parametrize("chunk_size", [1, 10])
def test_what_points_to_a_bad_row_is_bad(bulk, chunk_size):
    Folder.objects.create(name="there")
    rows = [("there", None), ("b", "there"), ("x" * 30, None), ("c", "x" * 30), ("d", "b")]

    done = bulk(Verb.CREATE, "folders", [under(*row) for row in rows], chunk_size=chunk_size)

    assert done.codes == [
        (0, "name", "ALREADY_EXISTS"),
        (2, "name", "TOO_LONG"),
        (3, "parentBy.name", "TOO_LONG"),
    ]
    assert tree() == [("b", "there"), ("d", "b"), ("there", None)]


def test_chunks_of_a_tree_are_rung_one_after_the_other(user, monkeypatch):
    rung = []
    monkeypatch.setattr(
        "bulkql.workers.messaging.dispatch.send", lambda actor, identifier, queue: rung.append(identifier)
    )
    inputs = [InputRequest(resource=resource_named("folders"), rows=[under(name, None) for name in "abc"])]
    operation, _ = accept(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, chunk_size=1))

    dispatch_chunks(operation.pk)

    (first, *_) = Chunk.objects.order_by("number").values_list("pk", flat=True)
    assert rung == [first]


@pytest.mark.parametrize("chunk_size", [1, 10])
def test_a_tree_is_deleted_whatever_comes_first(bulk, chunk_size):
    a = Folder.objects.create(name="a")
    b = Folder.objects.create(name="b", parent=a)
    Folder.objects.create(name="c", parent=b)

    done = bulk(Verb.DELETE, "folders", [{"name": "a"}, {"name": "b"}, {"name": "c"}], chunk_size=chunk_size)

    assert done.outcomes == ["DELETED"] * 3
    assert tree() == []


def test_the_root_of_too_long_a_chain_is_a_row_error_and_goes_after_the_rows_at_its_end(bulk):
    """Django's collector is a recursion: it gives up at about 480 rows."""
    chain = Folder.objects.bulk_create(Folder(name=f"f{number:03}") for number in range(600))
    for child, parent in zip(chain[1:], chain, strict=False):
        child.parent = parent
    Folder.objects.bulk_update(chain, ["parent"])
    Folder.objects.create(name="other")

    done = bulk(Verb.DELETE, "folders", [{"name": "f000"}, {"name": "other"}], match_by=["name"])

    assert (done.codes, done.outcomes) == ([(0, None, "CONSTRAINT")], ["FAILED", "DELETED"])
    assert Folder.objects.count() == 600

    done = bulk(Verb.DELETE, "folders", [{"name": one.name} for one in reversed(chain)], match_by=["name"])

    assert (done.codes, Folder.objects.count()) == ([], 0)
