"""Keys whose texts the database holds for equal whatever their case are the same key to bulkql, by all writers."""

from __future__ import annotations

import pytest
from django.db import connection

import bulkql
from bulkql.workers.columns import collations
from bulkql.workers.enums import Verb
from tests.databases import WANTED
from tests.integration.writers import WRITERS, write_by
from tests.zoo.models import Handle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=WRITERS, autouse=True)
def _writer(request, monkeypatch):
    write_by(request.param, monkeypatch)


#: A type of its own, which stands for all that databases have; where PostgreSQL was built with ICU, a collation.
WAYS = ["type", "collation"] if WANTED.startswith("/") else ["type"]


@pytest.fixture(params=WAYS, autouse=True)
def _way(request, db):
    if request.param == "type":
        yield
        return
    definition = "provider = icu, locale = 'und-u-ks-level2', deterministic = false"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE COLLATION IF NOT EXISTS any_case ({definition})")
    compare_by("varchar(20) COLLATE any_case")
    yield
    compare_by("anycase")


def compare_by(what):
    """Change what the table's texts are."""
    with connection.cursor() as cursor:
        for column in ("name", "friend_id"):
            cursor.execute(f"ALTER TABLE zoo_handle ALTER {column} TYPE {what}")
    collations.compared.cache_clear()


@pytest.fixture(params=[1, 100])
def chunk_size(request):
    return request.param


@pytest.fixture
def ada(db):
    Handle.objects.create(name="bob", size=1)
    return Handle.objects.create(name="Ada", size=1)


def handles():
    return dict(Handle.objects.order_by("name").values_list("name", "size"))


def handle(name, size=2, **more):
    return {"name": name, "size": size, **more}


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPSERT])
def test_the_last_row_of_a_key_counts(bulk, verb, chunk_size):
    done = bulk(verb, "handles", [handle("eve", 3), handle("Ida"), handle("EVE", 4)], chunk_size=chunk_size)

    assert done.outcomes == ["FAILED", "CREATED", "CREATED"]
    assert done.codes == [(0, "name", "DUPLICATE_IN_REQUEST")]
    assert handles() == {"EVE": 4, "Ida": 2}


def test_what_is_there_already_is_named(bulk, ada, chunk_size):
    done = bulk(Verb.CREATE, "handles", [handle("ADA"), handle("eve")], chunk_size=chunk_size)

    assert done.codes == [(0, "name", "ALREADY_EXISTS")]
    assert handles() == {"Ada": 1, "bob": 1, "eve": 2}


def test_what_is_there_already_is_skipped(bulk, ada):
    done = bulk(Verb.CREATE, "handles", [handle("ADA"), handle("eve")], skip_existing=True)

    assert (done.results[0]["outcome"], done.results[0]["pk"]) == ("UNCHANGED", str(ada.pk))
    assert handles() == {"Ada": 1, "bob": 1, "eve": 2}


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.UPSERT, Verb.REPLACE, Verb.SYNC])
def test_rows_are_found(bulk, ada, verb, chunk_size):
    done = bulk(verb, "handles", [handle("ADA"), handle("BOB", 1)], match_by=["name"], chunk_size=chunk_size)

    assert (done.errors, done.outcomes[0], done.results[0]["pk"]) == ([], "UPDATED", str(ada.pk))
    assert {name.lower(): size for name, size in handles().items()} == {"ada": 2, "bob": 1}


def test_rows_are_deleted(bulk, ada, chunk_size):
    done = bulk(Verb.DELETE, "handles", [{"name": "ADA"}, {"name": "eve"}], match_by=["name"], chunk_size=chunk_size)

    assert done.outcomes == ["DELETED", "FAILED"]
    assert handles() == {"bob": 1}


def test_another_case_is_another_value(bulk, ada):
    done = bulk(Verb.UPDATE, "handles", [{"id": ada.pk, "name": "ADA"}])

    assert done.outcomes == ["UPDATED"]
    assert handles() == {"ADA": 1, "bob": 1}


def test_a_sync_deletes_no_row_that_is_named(user, ada, chunk_size):
    Handle.objects.create(name="eve")
    options = {"delete_missing": True, "max_deletes": 1, "chunk_size": chunk_size}

    done = bulkql.sync(Handle, [handle("ADA"), handle("BOB")], user=user, match_by=["name"], **options)

    assert (done.updated, done.deleted, done.failed) == (2, 1, 0)
    assert {name.lower(): size for name, size in handles().items()} == {"ada": 2, "bob": 2}


def test_references_are_found(bulk, ada, chunk_size):
    rows = [handle("eve", friend="ADA"), handle("Ida", friend="EVE")]

    done = bulk(Verb.CREATE, "handles", rows, chunk_size=chunk_size)

    assert (done.codes, done.outcomes) == ([], ["CREATED", "CREATED"])
    assert Handle.objects.get(name="eve").friend == ada
