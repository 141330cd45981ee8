"""A model's own code and its receivers do what they do in a loop of save(): the lane SAVE, and who takes it."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection, models, transaction
from django.db.models import signals

import bulkql
from bulkql.workers.enums import OnError, Verb
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest
from bulkql.workers.operations import running
from bulkql.workers.resources.lanes import lane_of
from bulkql.workers.resources.registry import registered, resource_named
from tests.conftest import Done
from tests.zoo.bulk import Keepers
from tests.zoo.models import Folder, Keeper, Note, Tag

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def listening(signal, receiver, sender=Keeper):
    """A receiver, for as long as it lasts."""
    signal.connect(receiver, sender=sender)
    try:
        yield
    finally:
        signal.disconnect(receiver, sender=sender)


def codes():
    return list(Keeper.objects.order_by("pk").values_list("code", flat=True))


def lanes(name):
    """The verbs of a resource that are saved row by row."""
    return {verb for verb in Verb if lane_of(resource_named(name), verb) == bulkql.SAVE}


WRITES = set(Verb) - {Verb.DELETE, Verb.EXPORT}
DELETES = {Verb.DELETE, Verb.REVERT}


def test_models_without_code_of_their_own_are_copied():
    assert {one.name for one in registered() if lanes(one.name)} == {"cars"}  # whose rows are in two tables


@pytest.mark.parametrize("method", ["save", "save_base", "clean", "full_clean", "clean_fields", "validate_unique"])
def test_a_method_of_its_own_takes_the_model_to_save(create, monkeypatch, method):
    stock, called = getattr(models.Model, method), []

    def own(self, *args, **kwargs):
        called.append(self.code)
        return stock(self, *args, **kwargs)

    monkeypatch.setattr(Keeper, method, own)

    done = create("keepers", [{"code": "ada"}, {"code": "eve"}])

    assert lanes("keepers") == WRITES
    assert (done.outcomes, called, codes()) == (["CREATED", "CREATED"], ["ada", "eve"], ["ada", "eve"])


@pytest.mark.parametrize("sender", [Keeper, None], ids=["its own", "any sender"])
@pytest.mark.parametrize("name", ["pre_save", "post_save", "post_init"])
def test_receivers_hear_of_each_row(create, name, sender):
    heard = []

    def receiver(sender, instance, **_):
        if sender is Keeper:
            heard.append(instance.code)

    with listening(getattr(signals, name), receiver, sender):
        assert lanes("keepers") == WRITES
        create("keepers", [{"code": "ada"}, {"code": "eve"}])

    assert heard == ["ada", "eve"]
    assert lanes("keepers") == set()


@pytest.mark.parametrize("name", ["pre_delete", "post_delete"])
def test_receivers_hear_of_each_row_that_goes(bulk, name):
    ada, eve = (Keeper.objects.create(code=code) for code in ("ada", "eve"))
    heard = []

    def receiver(sender, instance, origin, **_):
        if instance.code == "eve":
            raise ValidationError("Not her.", code="REJECTED")
        heard.append((instance.code, origin is instance))

    with listening(getattr(signals, name), receiver):
        assert lanes("keepers") == DELETES
        done = bulk(Verb.DELETE, "keepers", [{"id": ada.pk}, {"id": eve.pk}])

    assert (done.outcomes, done.codes, heard) == (["DELETED", "FAILED"], [(1, None, "REJECTED")], [("ada", True)])
    assert codes() == ["eve"]


def test_receivers_of_lists_hear_of_what_changes(bulk):
    tags = [Tag.objects.create(name=name, number=place) for place, name in enumerate("abc")]
    heard = []

    def receiver(action, pk_set, **_):
        heard.append((action, {Tag.objects.get(pk=pk).name for pk in pk_set}))

    with listening(signals.m2m_changed, receiver, Note.tags.through):
        assert lanes("notes") == WRITES
        created = bulk(Verb.CREATE, "notes", [{"title": "x", "tags": [tags[0].pk, tags[1].pk], "keepers": []}])
        update = [{"title": "x", "tags": [tags[1].pk, tags[2].pk]}]
        updated, again = (bulk(Verb.UPDATE, "notes", update, ["title"]) for _ in range(2))

    assert (created.outcomes, updated.outcomes, again.outcomes) == (["CREATED"], ["UPDATED"], ["UNCHANGED"])
    assert heard == [
        ("pre_add", {"a", "b"}), ("post_add", {"a", "b"}),
        ("pre_remove", {"a"}), ("post_remove", {"a"}), ("pre_add", {"c"}), ("post_add", {"c"}),
    ]  # fmt: skip


def test_a_delete_of_its_own_is_called(bulk, monkeypatch):
    """A soft delete: the row stays, and only its model knows."""
    for code in ("ada", "eve"):
        Keeper.objects.create(code=code)

    def delete(self):
        Keeper.objects.filter(pk=self.pk).update(code=f"{self.code}-gone")

    monkeypatch.setattr(Keeper, "delete", delete, raising=False)

    done = bulk(Verb.DELETE, "keepers", [{"code": "eve"}, {"code": "bob"}])

    assert lanes("keepers") == DELETES
    assert (done.outcomes, codes()) == (["DELETED", "FAILED"], ["ada", "eve-gone"])


def test_a_row_that_went_along_with_one_before_it_is_deleted(bulk):
    parent = Folder.objects.create(name="parent")
    child = Folder.objects.create(name="child", parent=parent)
    Folder.objects.create(name="grandchild", parent=child)
    heard = []

    def receiver(instance, **_):
        heard.append(instance.name)

    with listening(signals.post_delete, receiver, Folder):
        done = bulk(Verb.DELETE, "folders", [{"id": parent.pk}, {"id": child.pk}])

    assert (done.outcomes, heard) == (["DELETED", "DELETED"], ["grandchild", "child", "parent"])
    assert [chunk.cascades for chunk in done.operation.chunks.all()] == [{"zoo.Folder": 1}]


def explode(instance):
    """What a model's code may do to its own row."""
    match instance.code:
        case "invalid":
            raise ValidationError({"code": ValidationError("Not this.", code="max_length")})
        case "denied":
            raise PermissionDenied
        case "bug":
            raise AttributeError("secret")
        case "taken":
            Keeper.objects.create(code="ada")
        case "swallowed":
            with pytest.raises(Exception, match="nowhere"), connection.cursor() as cursor:
                cursor.execute("SELECT * FROM nowhere")


@pytest.mark.parametrize("when", ["pre_save", "post_save"])
def test_whatever_a_model_raises_stays_of_its_row(create, when, caplog):
    def receiver(instance, **_):
        if instance.code in ("invalid", "denied", "bug", "taken"):
            Keeper.objects.create(code=f"by-{instance.code}")
            explode(instance)

    with listening(getattr(signals, when), receiver):
        done = create("keepers", [{"code": code} for code in ("ada", "invalid", "denied", "bug", "taken", "eve")])

    assert done.outcomes == ["CREATED", "FAILED", "FAILED", "FAILED", "FAILED", "CREATED"]
    assert [(*code, error["message"]) for code, error in zip(done.codes, done.errors, strict=True)] == [
        (1, "code", "TOO_LONG", "Not this."),
        (2, None, "FORBIDDEN", "You may not do this to a keeper."),
        (3, None, "INVALID", "The model's own code raised AttributeError; the worker's log says where."),
        (4, "code", "ALREADY_EXISTS", "Another keeper with this code already exists."),
    ]
    assert codes() == ["ada", "eve"]
    assert "zoo.Keeper: a row was refused by AttributeError at tests/integration/test_lanes.py" in caplog.text
    assert "secret" not in caplog.text


def test_a_field_that_takes_no_value_of_its_model_is_named(create, monkeypatch):
    def save(self, **options):
        self.number = "many"
        Tag.save_base(self, **options)

    monkeypatch.setattr(Tag, "save", save)

    done = create("tags", [{"name": "a", "number": 1}])

    assert done.codes == [(0, "number", "INVALID")]
    assert done.errors[0]["message"] == "The model's own code raised ValueError; the worker's log says where."


@pytest.mark.postgresql
def test_a_transaction_that_a_receiver_broke_is_mended(create):
    def receiver(instance, **_):
        explode(instance)

    with listening(signals.post_save, receiver):
        done = create("keepers", [{"code": "swallowed"}, {"code": "eve"}])

    assert (done.outcomes, codes()) == (["FAILED", "CREATED"], ["eve"])


@pytest.mark.parametrize("options", [{"dry_run": True}, {"on_error": OnError.REJECT_ALL}])
def test_what_receivers_did_is_rolled_back_with_its_rows(create, options):
    committed = []

    def receiver(instance, created, **_):
        Folder.objects.create(name=instance.code)
        transaction.on_commit(lambda: committed.append(instance.code))

    with listening(signals.post_save, receiver):
        done = create("keepers", [{"code": "ada"}, {"code": "no slug"}], **options)

    assert done.outcomes == [{"dry_run": "CREATED"}.get(*options, "SKIPPED"), "FAILED"]
    assert (codes(), Folder.objects.count(), committed) == ([], 0, [])


def test_a_key_that_a_row_gives_is_not_written_over(create, monkeypatch):
    from bulkql.examples.places.bulk import Countries

    monkeypatch.setattr(Countries, "writes", bulkql.SAVE)
    country = {"iso": "DE", "iso3": "DEU", "name": "Germany", "continent": "EU"}

    done = [create("countries", [{**country, "name": name}]) for name in ("Germany", "Other")]

    assert [one.outcomes for one in done] == [["CREATED"], ["FAILED"]]
    assert done[1].codes == [(0, "iso", "ALREADY_EXISTS")]


def test_copy_may_be_chosen_knowingly(create, monkeypatch):
    monkeypatch.setattr(Keeper, "save", lambda self, **_: pytest.fail("called"), raising=False)
    monkeypatch.setattr(Keepers, "writes", bulkql.COPY)

    done = create("keepers", [{"code": "ada"}])

    assert (lanes("keepers"), done.outcomes, codes()) == (set(), ["CREATED"], ["ada"])


def test_save_sees_no_key_that_was_made_up(create, monkeypatch):
    """Many a save() asks whether its row is new by its key."""
    seen = []

    def save(self, *args, **kwargs):
        seen.append((self.pk, self._state.adding))
        models.Model.save(self, *args, **kwargs)

    monkeypatch.setattr(Note, "save", save, raising=False)

    done = create("notes", [{"title": "x"}, {"title": "y"}])

    assert (done.outcomes, seen) == (["CREATED", "CREATED"], [(None, True), (None, True)])
    assert [row["pk"] for row in done.results] == [str(one.pk) for one in Note.objects.order_by("pk")]


@pytest.mark.postgresql
def test_rows_that_were_stored_for_the_other_lane_are_written_all_the_same(user, monkeypatch):
    """A project is deployed anew, with a receiver less, while an operation waits."""
    monkeypatch.setattr(Keepers, "writes", bulkql.SAVE)
    inputs = [InputRequest(resource=resource_named("keepers"), rows=[{"code": "ada"}, {"code": "eve"}])]
    operation, _ = accept(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs))
    monkeypatch.setattr(Keepers, "writes", bulkql.COPY)

    running.write_now(operation)

    assert (Done(operation).outcomes, codes()) == (["CREATED", "CREATED"], ["ada", "eve"])
