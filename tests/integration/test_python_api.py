"""The verbs for Python code: the same outcomes, records and rules as over GraphQL."""

from __future__ import annotations

import re
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from unittest import mock
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q

import bulkql
from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.models import Operation
from bulkql.workers.operations import chunks
from bulkql.workers.signals import chunk_written
from tests.zoo.models import Animal, Keeper, Note, Tag

pytestmark = pytest.mark.django_db

PARIS = ZoneInfo("Europe/Paris")


class NAType:
    """What pandas calls a value that is missing."""


class Mixed:
    """A frame of a library that has a column for which Arrow has no type."""

    def __arrow_c_stream__(self, schema=None):
        raise TypeError("int expected, got str")


@pytest.fixture
def cash() -> FinancialAccount:
    return FinancialAccount.objects.create(name="Cash")


@pytest.fixture
def opened() -> ClassificationStatus:
    return ClassificationStatus.objects.create(name="open")


def transaction_of(account, status, **values):
    return {
        "amount": Decimal("12.50"),
        "description": "coffee",
        "datetime": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "financial_account": account,
        "classification_status": status,
        **values,
    }


def accounts(count):
    return pl.DataFrame({"name": [f"Account {number}" for number in range(count)]})


def test_python_values_arrive_as_they_are(user, cash, opened):
    operation = bulkql.create(FinancialTransaction, [transaction_of(cash, opened)], user=user, label="by hand")

    stored = FinancialTransaction.objects.get()
    assert (operation.state, operation.created, operation.total) == ("COMPLETED", 1, 1)
    assert stored.amount == Decimal("12.50")
    assert stored.datetime == datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert stored.financial_account == cash
    assert list(operation.results()) == [
        {"resource": "financialTransactions", "index": 0, "outcome": "CREATED", "pk": str(stored.pk)}
    ]
    assert Operation.objects.get(pk=operation.id).label == "by hand"


@pytest.mark.parametrize("kind", [list, pl.DataFrame])
def test_moments_without_a_time_zone_are_of_the_projects(user, cash, opened, settings, kind):
    settings.TIME_ZONE = "Europe/Paris"
    row = transaction_of(cash.pk, opened.pk, datetime=datetime(2026, 7, 1, 12))

    bulkql.create(FinancialTransaction, kind([row]), user=user)

    assert FinancialTransaction.objects.get().datetime == datetime(2026, 7, 1, 10, tzinfo=UTC)


def test_nan_is_no_null(user, cash, opened):
    frame = pl.DataFrame([transaction_of(cash.pk, opened.pk, amount=float("nan"))])

    for rows in (frame, [*frame.iter_rows(named=True)]):
        errors = bulkql.create(FinancialTransaction, rows, user=user).row_errors()
        assert [(one["path"], one["code"]) for one in errors] == [("amount", "INVALID")]
    (error,) = bulkql.create(FinancialTransaction, frame.fill_nan(None), user=user).row_errors()
    assert error["code"] == "REQUIRED"


def test_bad_rows_are_named_and_their_neighbours_written(user):
    operation = bulkql.create(FinancialAccount, [{"name": "Cash"}, {"name": "x" * 101}, {"nam": "Bank"}], user=user)

    assert (operation.created, operation.failed) == (1, 2)
    assert [(one["index"], one["path"], one["code"]) for one in operation.row_errors()] == [
        (1, "name", "TOO_LONG"),
        (2, "nam", "UNKNOWN_FIELD"),
        (2, "name", "REQUIRED"),
    ]
    assert repr(operation) == f"<BulkOperation {operation.id} COMPLETED: 1 created, 2 failed>"


def test_a_dict_of_models_is_one_operation_parents_first(user, opened):
    row = transaction_of(None, opened)
    del row["financial_account"]

    rows = {
        FinancialTransaction: [{**row, "financial_account_by": {"name": "Cash"}}],
        FinancialAccount: [{"name": "Cash"}],
    }
    operation = bulkql.create(rows, user=user, on_error="REJECT_ALL")

    assert (operation.state, operation.created) == ("COMPLETED", 2)
    assert FinancialTransaction.objects.get().financial_account.name == "Cash"


@pytest.mark.parametrize("kind", ["frame", "lazy frame", "generator"])
def test_many_rows_are_written_whatever_brings_them(user, kind):
    count = 12_000
    names = [f"account {number}" for number in range(count)]
    frame = pl.DataFrame({"name": names})
    rows = {"frame": frame, "lazy frame": frame.lazy(), "generator": ({"name": name} for name in names)}[kind]

    operation = bulkql.create(FinancialAccount, rows, user=user)

    assert (operation.state, operation.created) == ("COMPLETED", count)
    assert set(FinancialAccount.objects.values_list("name", flat=True)) == set(names)


def test_a_key_may_be_named_in_camel_case(user, cash, opened):
    rows = [transaction_of(cash, opened)]

    for key in (["financial_account", "datetime"], ["financialAccount", "datetime"]):
        operation = bulkql.upsert(FinancialTransaction, rows, user=user, match_by=key, update_fields=["amount"])

    assert operation.unchanged == 1


def test_uuids_of_a_frame_are_read_as_arrow_writes_them(user):
    """What pandas' objects become: sixteen bytes."""
    token = uuid.uuid4()

    done = bulkql.create(Animal, pl.DataFrame({"char": ["ant", "bee"], "token": [token.bytes, b"?"]}), user=user)

    assert [one["path"] for one in done.row_errors()] == ["token"]
    assert Animal.objects.get().token == token


def test_upsert_and_update_find_rows_by_a_key(user, cash):
    upserted = bulkql.upsert(FinancialAccount, [{"name": "Cash"}, {"name": "Bank"}], user=user, match_by=["name"])
    updated = bulkql.update(FinancialAccount, [{"id": cash.pk, "name": "Till"}], user=user)

    assert (upserted.created, upserted.unchanged) == (1, 1)
    assert updated.updated == 1
    assert set(FinancialAccount.objects.values_list("name", flat=True)) == {"Till", "Bank"}


@pytest.mark.parametrize(
    "named",
    [
        lambda cash: [cash.pk],
        lambda cash: [cash],
        lambda cash: [{"name": "Cash"}],
        lambda cash: FinancialAccount.objects.filter(name="Cash"),
        lambda cash: pl.DataFrame({"id": [cash.pk]}),
    ],
    ids=["primary keys", "instances", "keys", "queryset", "frame"],
)
def test_rows_to_delete_are_named_in_any_way(user, cash, opened, named):
    FinancialAccount.objects.create(name="Bank")
    FinancialTransaction.objects.create(**transaction_of(cash, opened))

    operation = bulkql.delete(FinancialAccount, named(cash), user=user)

    assert operation.deleted == 1
    assert operation.cascades == {"ledger.FinancialTransaction": 1}
    assert [account.name for account in FinancialAccount.objects.all()] == ["Bank"]


def test_instances_give_what_their_field_points_to(user):
    keeper, tag = Keeper.objects.create(code="ann"), Tag.objects.create(name="red")

    animals = bulkql.create(Animal, [{"char": "cat", "keeper": keeper}], user=user)
    notes = bulkql.create(Note, [{"title": "one", "tags": [tag], "keepers": [keeper]}], user=user)

    assert (animals.created, notes.created) == (1, 1)
    assert Animal.objects.get().keeper == keeper
    note = Note.objects.get()
    assert (list(note.tags.all()), list(note.keepers.all())) == ([tag], [keeper])


NO_INSTANCES = "only foreign keys, lists and rows to delete take instances."


@pytest.mark.parametrize(
    ("model", "row", "message"),
    [
        (Animal, {"keeper": Tag(pk=1)}, "rows.0.keeper is a zoo.Tag; a zoo.Keeper is expected here, or its code."),
        (Animal, {"keeper": Keeper(code="a")}, "rows.0.keeper is a zoo.Keeper that is not saved; save it first."),
        (Animal, {"char": Tag(pk=1)}, f"rows.0.char is a zoo.Tag; {NO_INSTANCES}"),
        (Animal, {"json": {"a": [Tag(pk=1)]}}, f"rows.0.json.a.0 is a zoo.Tag; {NO_INSTANCES}"),
        (Note, {"tags": [1, Keeper(pk=1)]}, "rows.0.tags.1 is a zoo.Keeper; a zoo.Tag is expected here, or its id."),
        (Note, {"tags": [Tag()]}, "rows.0.tags.0 is a zoo.Tag that is not saved; save it first."),
    ],
    ids=str,
)
def test_instances_that_name_no_row_are_refused(user, model, row, message):
    with pytest.raises(bulkql.BadInput) as refused:
        bulkql.create(model, [row], user=user)

    assert str(refused.value) == message


def test_instances_of_another_model_delete_nothing(user):
    tag = Tag.objects.create(name="red")
    keeper = Keeper.objects.create(pk=tag.pk, code="ann")

    for given, message in (
        (keeper, "rows.0 is a zoo.Keeper; a zoo.Tag is expected here, or its id."),
        (Tag(name="red"), "rows.0 is a zoo.Tag that is not saved; save it first."),
    ):
        with pytest.raises(bulkql.BadInput) as refused:
            bulkql.delete(Tag, [given], user=user)
        assert str(refused.value) == message
    assert Tag.objects.get() == tag


def test_dry_run_writes_nothing(user):
    operation = bulkql.create(FinancialAccount, [{"name": "Cash"}], user=user, dry_run=True)

    assert operation.created == 1
    assert not FinancialAccount.objects.exists()


@pytest.mark.parametrize("options", [{"dry_run": True}, {"on_error": "REJECT_ALL"}, {"mode": "SYNC"}], ids=str)
def test_a_transaction_of_the_project_may_outlast_the_beats_of_a_lease(user, settings, monkeypatch, options):
    settings.BULKQL_LEASE_SECONDS = 0.2
    written = chunks.rows_written

    def slowly(*args):
        time.sleep(0.5)  # ten beats, none of which sees what is not committed
        return written(*args)

    monkeypatch.setattr(chunks, "rows_written", slowly)

    with transaction.atomic():
        operation = bulkql.create(
            FinancialAccount, [{"name": "Cash"}, {"name": "Bank"}], user=user, chunk_size=1, **options
        )

    assert (operation.state, operation.created) == ("COMPLETED", 2)


def test_an_empty_idempotency_key_is_refused(user):
    plan = bulkql.create(FinancialAccount, [{"name": "Cash"}], user=user, dry_run=True)

    for step in (
        lambda: bulkql.create(FinancialAccount, [{"name": "Cash"}], user=user, idempotency_key=""),
        lambda: bulkql.apply(plan, user=user, idempotency_key=""),
        lambda: bulkql.revert(plan, user=user, idempotency_key=""),
    ):
        with pytest.raises(bulkql.BadInput, match=r"^idempotency_key is empty; give each request a key of its own"):
            step()


def test_same_idempotency_key_gives_the_first_operation(user):
    first, second = (
        bulkql.create(FinancialAccount, [{"name": "Cash"}], user=user, idempotency_key="once") for _ in range(2)
    )

    assert first.id == second.id
    assert FinancialAccount.objects.count() == 1


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "options",
    [
        {"on_error": "REJECT_ALL"},
        {"dry_run": True},
        {"chunk_size": 7},
        {"skip_existing": True},
        {"start_at": NOON},
        {"max_rows_per_second": 9},
        {"webhook_url": "https://hooks.example.org/bulkql"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_idempotency_key_is_for_one_way_of_writing_the_rows(user, settings, options):
    settings.BULKQL_WEBHOOK_HOSTS = ["hooks.example.org"]
    settings.BULKQL_WEBHOOK_SECRET = "whsec_" + "A" * 32
    how = {"user": user, "idempotency_key": "once"}
    first = bulkql.create(FinancialAccount, [{"name": "Cash"}], **how)

    with pytest.raises(bulkql.BulkError) as refused:
        bulkql.create(FinancialAccount, [{"name": "Cash"}], **how, **options)

    assert refused.value.code == "IDEMPOTENCY_CONFLICT"
    assert str(refused.value) == (
        f"The idempotency key 'once' belongs to operation {first.id}, which had another input or other options; use a "
        "new key for a new request."
    )


def test_an_idempotency_key_does_not_count_the_label_and_who_waits(user):
    how = {"user": user, "idempotency_key": "once"}
    first = bulkql.create(FinancialAccount, [{"name": "Cash"}], start_at=NOON, **how)

    again = bulkql.create(
        FinancialAccount, [{"name": "Cash"}], label="x", mode="AUTO", start_at=NOON.astimezone(PARIS), **how
    )

    assert again.id == first.id


def test_permissions_count(django_user_model):
    nobody = django_user_model.objects.create_user("nobody")

    with pytest.raises(bulkql.Forbidden, match=r"needs the permission ledger\.add_financialaccount"):
        bulkql.create(FinancialAccount, [{"name": "Cash"}], user=nobody)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda user: bulkql.create(Operation, [{}], user=user), "bulkql.Operation is not registered"),
        (lambda user: bulkql.create(FinancialAccount, [], user=user), "financialAccounts.rows is empty"),
        (
            lambda user: bulkql.create(FinancialAccount, {"name": "Cash"}, user=user),
            "are of type dict; give a list of dicts",
        ),
        (
            lambda user: bulkql.create(FinancialAccount(), [{"name": "Cash"}], user=user),
            "is not a model; give the model's class",
        ),
        (
            lambda user: bulkql.create(FinancialAccount(pk=1), [{"name": "Cash"}], user=user),
            "is not a model; give the model's class",
        ),
        (
            lambda user: bulkql.revert(uuid.uuid4(), user=user, skip_existing=True),
            "skip_existing is not an option here; the options are mode, .*, force",
        ),
        (
            lambda user: bulkql.export(FinancialAccount, user=user, chunk_size=5),
            "chunk_size is not an option here; the options are mode, dry_run, label, start_at, idempotency_key",
        ),
        (lambda user: bulkql.create(FinancialAccount, ["Cash"], user=user), r"rows\.0 is of type str; a row is a dict"),
        (
            lambda user: bulkql.create(FinancialAccount, [{"name": object()}], user=user),
            r"rows\.0\.name is of type object, which has no form in JSON; give a text or a number",
        ),
        (
            lambda user: bulkql.create(FinancialAccount, FinancialAccount.objects.all(), user=user),
            r"Create takes rows, and not a queryset, which tells which rows to delete; give a list of its values\(\)\.",
        ),
        (
            lambda user: bulkql.delete(FinancialAccount, ClassificationStatus.objects.all(), user=user),
            "The queryset has rows of ledger.ClassificationStatus",
        ),
        (
            lambda user: bulkql.update({FinancialAccount: []}, user=user, match_by=["name"]),
            "With several models the first argument has the rows of each",
        ),
        *[
            (lambda user, given=given: bulkql.create(FinancialAccount, [{"name": "Cash"}], user=user, **given), message)
            for given, message in (
                ({"mode": "LATER"}, "mode is 'LATER'; give one of AUTO, SYNC, ASYNC."),
                ({"on_error": 1}, "on_error is 1; give one of SKIP_ROWS, REJECT_ALL."),
                ({"empty_cells": "none"}, "empty_cells is 'none'; give one of MISSING, NULL."),
                ({"chunk_size": "10"}, "chunk_size is '10'; give a whole number."),
                ({"chunk_size": True}, "chunk_size is True; give a whole number."),
                ({"max_rows_per_second": 1.5}, "max_rows_per_second is 1.5; give a whole number."),
                ({"max_rows_per_second": 2**31}, "max_rows_per_second is 2,147,483,648; it is at most 2,147,483,647."),
                (
                    {"dry_rum": True},
                    "dry_rum is not an option here; the options are mode, on_error, dry_run, chunk_size",
                ),
                ({"dry_run": "no"}, "dry_run is 'no'; give True or False."),
                ({"skip_existing": 0}, "skip_existing is 0; give True or False."),
                ({"label": 5}, "label is 5; give a text."),
                ({"idempotency_key": 5}, "idempotency_key is 5; give a text."),
                ({"webhook_url": b"https://x"}, "webhook_url is b'https://x'; give a text."),
                ({"start_at": "2026-01-01"}, "start_at is '2026-01-01'; give a datetime."),
            )
        ],
        *[
            (lambda user, row=row: bulkql.create(FinancialAccount, row, user=user), message)
            for row, message in (
                (None, "The rows of financialAccounts are None; give a list of dicts, or a frame."),
                (5, "The rows of financialAccounts are of type int; give a list of dicts, or a frame."),
                ([5], "rows.0 is of type int; a row is a dict of fields and values."),
                (
                    [{"name": b"Cash"}],
                    "rows.0.name is of type bytes, which has no form in JSON; give a text, which for a binary field is "
                    "Base64.",
                ),
                (
                    [{"name": FinancialAccount.objects.all()}],
                    "rows.0.name is of type QuerySet, which has no form in JSON; give a list of its rows or of their "
                    "keys.",
                ),
                ([{1: "Cash"}], "rows.0 has the key 1; the keys of a row are names of fields."),
                ([{"name": NAType()}], "rows.0.name is of type NAType, which has no form in JSON; give None."),
                (pl.DataFrame({"name": []}), "financialAccounts.rows is empty; give at least one row."),
                (pl.DataFrame(), "financialAccounts.rows is empty; give at least one row."),
                (
                    pl.LazyFrame({"nme": ["a"]}),
                    re.escape(
                        "None of the columns ('nme') is a field of financialAccounts (did you mean 'name'?). Its"
                    ),
                ),
                (
                    pl.DataFrame({"name": ["a"], "color": ["b"]}),
                    "financialAccounts has no field for the column 'color'. Its fields are name; rename others, or "
                    "leave them out.",
                ),
                (
                    pl.DataFrame({"name": [object()]}, schema={"name": pl.Object}),
                    "The column 'name' of the rows of financialAccounts has Python objects; give what they stand for",
                ),
                (Mixed(), "The rows of financialAccounts are of type Mixed, which cannot be read as a frame: int exp"),
                (
                    [{"name": pl.Series(["a", "b"])}],
                    "rows.0.name is of type Series, which has no form in JSON; give a text",
                ),
            )
        ],
        *[
            (lambda user, given=given: bulkql.upsert(FinancialAccount, [{"name": "a"}], user=user, **given), message)
            for given, message in (
                ({"match_by": "name"}, re.escape("match_by is 'name'; give a list, such as ['name'].")),
                ({"match_by": 5}, "match_by is 5; give a list."),
                ({"match_by": [5]}, re.escape("match_by is [5]; give a list of names.")),
                ({"update_fields": "name"}, re.escape("update_fields is 'name'; give a list, such as ['name'].")),
                (
                    {"update_fields": ["x"]},
                    "update_fields names 'x', which financialAccounts does not have; it has name.",
                ),
                ({"match_by": ["Name"]}, "match_by names 'Name', which financialAccounts does not have; it has name."),
                ({"update_fields": ["id"]}, "update_fields of financialAccounts names id; it may name name."),
                ({"match_by": []}, re.escape("match_by of financialAccounts is empty; leave it out, or say ['name'].")),
                ({"chunk_size": 0}, "chunk_size is 0; a chunk has at least one row."),
                (
                    {"max_rows_per_second": 5, "on_error": "REJECT_ALL"},
                    'max_rows_per_second paces chunks, and on_error="REJECT_ALL" writes all rows in one transaction',
                ),
                ({"max_rows_per_second": 5, "dry_run": True}, "max_rows_per_second paces chunks, and dry_run writes"),
                ({"skip_existing": True}, "skip_existing is for rows to create; an upsert .*, by update_fields only"),
            )
        ],
        *[
            (
                lambda user, given=given: bulkql.sync(
                    FinancialAccount, [{"name": "a"}], **{"user": user, "delete_missing": True, **given}
                ),
                message,
            )
            for given, message in (
                ({"where": Q(nam="x")}, "where: Cannot resolve keyword 'nam' into field."),
                ({"where": Q(id="x")}, "where: Field 'id' expected a number but got 'x'."),
                ({"where": {"name": "x"}}, "`where` is of type dict; give a Q or a queryset."),
                ({"max_deletes": "3"}, "max_deletes is '3'; give a whole number."),
                ({"max_delete_percent": "3"}, "max_delete_percent is '3'; give a number."),
                ({"delete_missing": "no"}, "delete_missing is 'no'; give True or False."),
                (
                    {"delete_missing": False, "max_deletes": 3},
                    "max_deletes guards delete_missing; set delete_missing=True as well, or leave it out.",
                ),
                ({"max_delete_percent": 101}, "max_delete_percent is 101; it must be between 0 and 100."),
                ({"user": User(username="new")}, "user is <User: new>, who is not saved; give a user of the database."),
                ({"user": None}, "user is None; give the user who asks, whose permissions count."),
            )
        ],
        *[
            (lambda user, given=given: bulkql.export(FinancialAccount, user=user, **given), message)
            for given, message in (
                ({"format": "CVS"}, "format is 'CVS'; give one of CSV, NDJSON, PARQUET, XLSX."),
                ({"compression": "ZIP"}, "compression is 'ZIP'; give one of NONE, GZIP, ZSTD."),
                ({"fields": "name"}, re.escape("fields is 'name'; give a list, such as ['name'].")),
                ({"order_by": "name"}, re.escape("order_by is 'name'; give a list, such as ['name'].")),
                ({"where": Q(nam="x")}, "where: Cannot resolve keyword 'nam' into field."),
                ({"mode": "x"}, "mode is 'x'; give one of AUTO, SYNC, ASYNC."),
            )
        ],
        (lambda user: bulkql.create("ledger.Account", [{}], user=user), "'ledger.Account' is not a model"),
        (lambda user: bulkql.export("ledger.Account", user=user), "'ledger.Account' is not a model"),
        (lambda user: bulkql.export(None, user=user), "None is not a model"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_way_out(user, call, message):
    with pytest.raises(bulkql.BadInput, match=message):
        call(user)

    assert not Operation.objects.exists()


def test_no_stranger_is_told_of_fields_by_the_columns_of_a_frame(django_user_model):
    nobody = django_user_model.objects.create_user("nobody")

    with pytest.raises(bulkql.Forbidden):
        bulkql.create(FinancialAccount, pl.DataFrame({"nme": ["Cash"]}), user=nobody)


def test_a_frame_without_rows_is_all_that_there_is_for_a_sync(user, cash):
    refused = bulkql.sync(FinancialAccount, pl.DataFrame({"name": []}), user=user, delete_missing=True)
    done = bulkql.sync(FinancialAccount, pl.DataFrame(), user=user, delete_missing=True, max_deletes=1)

    assert (refused.state, refused.message.partition(".")[0]) == (
        "FAILED",
        "The input does not name 1 of the 1 financial account rows in scope, and max_delete_percent=10 does not let "
        "them be deleted; nothing was written",
    )
    assert (done.state, done.deleted) == ("COMPLETED", 1)


@pytest.mark.parametrize("count", [1, 20_000], ids=["inline", "as a file"])
def test_row_errors_advise_no_options_that_python_code_does_not_have(user, cash, opened, count):
    texts = {"amount": "1,5", "datetime": "31.12.2025"}
    rows = [transaction_of(cash.pk, opened.pk, **texts) for _ in range(count)]

    told = []
    for given in (rows, pl.DataFrame(rows[:1])):
        told += list(bulkql.create(FinancialTransaction, given, user=user).row_errors())[:2]

    assert [one["message"] for one in told] == 2 * [
        "“1,5” value must be a decimal number.",
        "“31.12.2025” value has an invalid format. It must be in YYYY-MM-DD HH:MM[:ss[.uuuuuu]][TZ] format.",
    ]


def interrupted(perform):
    """What Ctrl-C leaves that is pressed when the first chunk is written: the operation, and what is said of it."""

    def press(**_):
        raise KeyboardInterrupt

    chunk_written.connect(press, weak=False)
    try:
        with pytest.raises(KeyboardInterrupt) as interrupt:
            perform()
    finally:
        chunk_written.disconnect(press)
    return Operation.objects.latest("created_at"), interrupt.value.__notes__


@pytest.mark.django_db(transaction=True)
def test_ctrl_c_stops_an_operation_that_workers_would_continue(user):
    stopped, notes = interrupted(lambda: bulkql.create(FinancialAccount, accounts(30), user=user, chunk_size=10))

    assert (stopped.state, FinancialAccount.objects.count()) == ("CANCELED", 10)
    assert notes == [f"Operation {stopped.pk} is CANCELED: 10 created, 20 skipped."]


@pytest.mark.django_db(transaction=True)
def test_ctrl_c_stops_a_revert_too(user):
    done = bulkql.create(FinancialAccount, accounts(30), user=user, chunk_size=10)

    stopped, notes = interrupted(lambda: bulkql.revert(done, user=user, chunk_size=10))

    assert (stopped.revert_of_id, stopped.state) == (done.id, "CANCELED")
    assert FinancialAccount.objects.count() == 20
    assert notes == [f"Operation {stopped.pk} is CANCELED: 10 deleted, 20 skipped."]


@pytest.mark.django_db(transaction=True)
def test_ctrl_c_stops_what_applies_a_plan_too(user):
    plan = bulkql.create(FinancialAccount, accounts(30), user=user, chunk_size=10, dry_run=True)

    stopped, notes = interrupted(lambda: bulkql.apply(plan, user=user))

    assert (stopped.applied_from_id, stopped.state) == (plan.id, "CANCELED")
    assert FinancialAccount.objects.count() == 10
    assert notes == [f"Operation {stopped.pk} is CANCELED: 10 created, 20 skipped."]


@pytest.mark.django_db(transaction=True)
def test_ctrl_c_within_a_transaction_leaves_nothing(user):
    def press(*_, **__):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), transaction.atomic(), mock.patch.object(chunks, "write_rows", press):
        bulkql.create(FinancialAccount, accounts(30), user=user, chunk_size=10)

    assert not Operation.objects.exists()
    assert not FinancialAccount.objects.exists()


def test_what_is_no_id_of_an_operation_is_not_found(user):
    for verb in (bulkql.revert, bulkql.apply):
        with pytest.raises(bulkql.NotFound, match="There is no operation nonsense"):
            verb("nonsense", user=user)


def test_an_option_that_is_none_is_not_given(user):
    none = dict.fromkeys(["mode", "on_error", "label", "dry_run", "start_at", "empty_cells"])

    assert bulkql.create(FinancialAccount, [{"name": "Cash"}], user=user, **none).created == 1


@pytest.mark.django_db(transaction=True)
def test_async_code_creates_rows(user):
    operation = async_to_sync(bulkql.async_create)(FinancialAccount, [{"name": uuid.UUID(int=1)}], user=user)

    assert operation.created == 1
    assert FinancialAccount.objects.filter(name=str(uuid.UUID(int=1))).exists()


def test_async_code_waits_within_a_transaction_that_nobody_else_sees(user):
    operation = bulkql.create(FinancialAccount, [{"name": "Cash"}], user=user, mode="ASYNC")

    with pytest.raises(TimeoutError, match=r"is QUEUED after 0 seconds, and continues"):
        async_to_sync(operation.async_wait)(0)

    operation.cancel()
    assert async_to_sync(operation.async_wait)(5).state == "CANCELED"


def test_waiting_ends_with_the_operation_or_its_time(user):
    operation = bulkql.create(FinancialAccount, [{"name": "Cash"}], user=user, mode="ASYNC")

    with pytest.raises(TimeoutError, match=r"is QUEUED after 0 seconds, and continues"):
        operation.wait(0)

    assert operation.cancel().state == "CANCELED"
    assert operation.wait(0).skipped == 1


def test_the_examples_of_the_guide_run(user, opened):
    guide = (Path(__file__).parents[2] / "docs/python.md").read_text()
    names = {"ada": user}

    for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL):
        exec(block, names)  # the guide is our own text

    assert names["operation"].state == "COMPLETED"
