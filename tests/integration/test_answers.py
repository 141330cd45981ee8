"""What is committed is answered with its id, whatever fails after the commit; what cannot be answered is not begun."""

from __future__ import annotations

from typing import Any

import django.db
import pytest
import redis
from asgiref.sync import async_to_sync
from django.db import OperationalError, connection

from bulkql.schema import types
from bulkql.schema.context import Context
from bulkql.schema.failures import coded
from bulkql.schema.schema import schema
from bulkql.workers.enums import Verb
from bulkql.workers.messaging import events
from bulkql.workers.models import Operation
from bulkql.workers.operations import steps
from bulkql.workers.signals import operation_finished
from tests.zoo.models import Tag

pytestmark = pytest.mark.django_db

#: Selections of an operation that cannot be answered, and why.
IMPOSSIBLE = {
    "results(first: 1001) { totalCount }": "LIMIT_EXCEEDED",
    "rowErrors(first: 1001) { totalCount }": "LIMIT_EXCEEDED",
    "results(first: -1) { totalCount }": "BAD_INPUT",
    'results(after: "no cursor") { totalCount }': "BAD_INPUT",
    'rowErrors(after: "MDowOi0x") { totalCount }': "BAD_INPUT",
    'rowErrors(after: "OTk5OTk5OTk5OTk6MDow") { totalCount }': "BAD_INPUT",
    "results(first: $first) { totalCount }": "LIMIT_EXCEEDED",
    "... on BulkOperation { ...Page }": "LIMIT_EXCEEDED",
    "few: results(first: 1) { totalCount } many: results(first: 1001) { totalCount }": "LIMIT_EXCEEDED",
}
FRAGMENT = "fragment Page on BulkOperation { id ... { results(first: 5000) { totalCount } ...Page2 } } "
FRAGMENT_2 = "fragment Page2 on BulkOperation { label }"
MUTATION = "mutation Bulk($input: Bulk{verb}Input!, $options: BulkOptions, $first: Int! = 1002) {{ {fields} }}"


def asked(user: Any, document: str, **variables: Any) -> Any:
    """The whole answer to a document."""
    context = Context(request=None, user=user)
    result: Any = async_to_sync(schema().execute)(document, variable_values=variables, context_value=context)
    return result


def codes(answer: Any) -> list[str]:
    return [coded(error).extensions["code"] for error in answer.errors or []]


def mutation(verb: str, *fields: str) -> str:
    """A document with bulk mutations of one verb, in this order; each selects what is given."""
    named = " ".join(
        f"m{number}: bulk{verb}(input: $input, options: $options) {{ {selection} }}"
        for number, selection in enumerate(fields)
    )
    text = MUTATION.format(verb=verb, fields=named).replace("$input: Bulk", "$input: Bulk")
    text += f" {FRAGMENT}{FRAGMENT_2}" if "Page" in named else ""
    return text if "$first" in named else text.replace(", $first: Int! = 1002", "")


@pytest.mark.parametrize("selection", IMPOSSIBLE)
@pytest.mark.parametrize("verb", ["Create", "Upsert", "Delete"])
@pytest.mark.parametrize("mode", ["SYNC", "ASYNC"])
def test_selection_that_cannot_be_answered_is_refused_before_anything_is_written(user, verb, mode, selection):
    Tag.objects.create(name="a")
    rows = {"where": {"name": {"exact": "a"}}} if verb == "Delete" else {"rows": [{"name": "b"}]}

    answer = asked(user, mutation(verb, f"id {selection}"), input={"tags": rows}, options={"mode": mode})

    assert codes(answer) == [IMPOSSIBLE[selection]]
    assert answer.data == {"m0": None}
    assert [tag.name for tag in Tag.objects.all()] == ["a"]
    assert not Operation.objects.exists()


@pytest.mark.parametrize("failing", IMPOSSIBLE)
@pytest.mark.parametrize("is_first", [True, False])
def test_failing_sibling_does_not_take_the_id_with_it(user, failing, is_first):
    fields = [f"id {failing}", "id state"] if is_first else ["id state", f"id {failing}"]

    answer = asked(user, mutation("Create", *fields), input={"tags": {"rows": [{"name": "b"}]}}, options=None)

    good, bad = ("m1", "m0") if is_first else ("m0", "m1")
    stored = Operation.objects.get()
    assert answer.data == {good: {"id": str(stored.id), "state": "COMPLETED"}, bad: None}
    assert codes(answer) == [IMPOSSIBLE[failing]]


@pytest.mark.parametrize(
    ("sibling", "code"),
    [
        ('retryOperation(id: "abc") { id }', "NOT_FOUND"),
        ('cancelOperation(id: "00000000-0000-0000-0000-000000000000") { id }', "NOT_FOUND"),
        ('createUpload(name: "") { id }', "BAD_INPUT"),
        ("bulkCreate(input: {}) { id }", "BAD_INPUT"),
        ("bulkDelete(input: { tags: { where: {} } }) { id }", "BAD_INPUT"),
    ],
)
def test_sibling_that_names_what_is_not_there_does_not_take_the_id_with_it(user, sibling, code):
    first = 'a: bulkCreate(input: { tags: { rows: [{ name: "a" }] } }) { id }'

    answer = asked(user, f"mutation {{ {first} b: {sibling} }}")

    assert answer.data == {"a": {"id": str(Operation.objects.get().id)}, "b": None}
    assert codes(answer) == [code]


class Broken(Exception):
    """Something that nobody foresaw."""


def broken(*_: Any, **__: Any) -> Any:
    raise Broken("by the test")


def unreachable(*_: Any, **__: Any) -> Any:
    raise OperationalError("by the test")


EVERYTHING = """
id label resources { resource } cascades { model } rowErrors { totalCount } results { totalCount } files { name }
"""

#: What may fail after the commit: the module or class, the name of what fails there.
AFTER_THE_COMMIT = [
    (steps.events, "publish_end"),
    (steps, "send_finished"),
    (steps, "dispatch"),
    (steps, "end"),
    (steps.totals, "progress"),
    (types.results, "result_page"),
    (types.results, "error_page"),
    (types.totals, "cascades"),
    (types, "resource_counts"),
    (types, "operation_files"),
    (events, "client"),
]


@pytest.mark.parametrize(("place", "name"), AFTER_THE_COMMIT, ids=lambda one: getattr(one, "__name__", one))
@pytest.mark.parametrize("failure", [broken, unreachable])
@pytest.mark.parametrize("options", [{}, {"mode": "ASYNC"}, {"onError": "REJECT_ALL"}, {"dryRun": True}], ids=str)
def test_id_comes_back_whatever_fails_after_the_commit(user, monkeypatch, place, name, failure, options):
    if (name, failure) == ("progress", broken):
        failure = unreachable  # it does nothing but ask the database
    monkeypatch.setattr(place, name, failure)

    answer = asked(user, mutation("Create", EVERYTHING), input={"tags": {"rows": [{"name": "a"}]}}, options=options)

    assert answer.data["m0"]["id"] == str(Operation.objects.get().id)


def test_id_comes_back_while_redis_is_away(user, monkeypatch):
    nowhere = redis.Redis(port=1)
    monkeypatch.setattr(events, "client", lambda: nowhere)
    monkeypatch.setattr("bulkql.workers.messaging.dispatch.broker.client.connection_pool", nowhere.connection_pool)
    rows = {"tags": {"rows": [{"name": "a"}]}}

    for mode in ("SYNC", "ASYNC"):
        answer = asked(user, mutation("Upsert", EVERYTHING), input=rows, options={"mode": mode})

        assert codes(answer) == []
        assert Operation.objects.filter(pk=answer.data["m0"]["id"]).exists()


def test_id_comes_back_whatever_receivers_raise(user):
    operation_finished.connect(broken)
    try:
        answer = asked(user, mutation("Create", "id state"), input={"tags": {"rows": [{"name": "a"}]}}, options=None)
    finally:
        operation_finished.disconnect(broken)

    assert answer.errors is None
    assert answer.data["m0"]["id"] == str(Operation.objects.get().id)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("options", [{}, {"mode": "ASYNC"}, {"dryRun": True}], ids=str)
def test_connection_lost_in_the_midst_of_the_commit_hides_no_operation(user, monkeypatch, options):
    """The database has committed, and the connection breaks before it says so."""
    wrapper = type(connection._connections[connection._alias])
    commit, is_told = wrapper._commit, []

    def lost(self: Any) -> Any:
        done = commit(self)
        if not is_told and Operation.objects.exists():
            is_told.append(True)
            self.connection.close()
            raise django.db.OperationalError("the connection is closed")
        return done

    monkeypatch.setattr(wrapper, "_commit", lost)

    answer = asked(user, mutation("Create", "id"), input={"tags": {"rows": [{"name": "a"}]}}, options=options)

    assert is_told
    assert answer.errors is None
    assert answer.data["m0"]["id"] == str(Operation.objects.get().id)


def test_rule_that_raises_leaves_a_stored_operation_to_the_workers(user, monkeypatch):
    monkeypatch.setattr("bulkql.workers.operations.chunks.checked", broken)
    input = {"tags": {"rows": [{"name": "a"}]}}

    answer = asked(user, mutation("Create", "id state"), input=input, options={"mode": "SYNC", "dryRun": True})

    assert answer.errors is None
    stored = Operation.objects.get()
    assert (answer.data["m0"]["id"], stored.verb) == (str(stored.id), Verb.CREATE)


def test_two_operations_without_a_name_are_a_request_error(user):
    create = 'bulkCreate(input: { tags: { rows: [{ name: "a" }] } }) { id }'

    answer = asked(user, f"mutation A {{ {create} }} mutation B {{ {create} }}")

    assert answer.data is None
    assert codes(answer) == ["BAD_INPUT"]
    assert not Operation.objects.exists()
