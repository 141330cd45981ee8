"""Values that Python or the database refuses: BAD_INPUT with their place, or an error of their row alone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.db import connection

from bulkql.schema.schema import schema
from bulkql.server.door.values import decode, encode
from bulkql.workers.errors import BadInput
from bulkql.workers.models import Operation, StoredFile, Upload
from bulkql.workers.uploads import uploads
from tests.integration.conftest import Ask, Refused
from tests.integration.test_answers import asked, codes
from tests.zoo.models import Shelf, Tag, Toy

pytestmark = pytest.mark.django_db

NUL, HALF = "a\0b", "a\ud800b"
CREATE = (
    "mutation ($input: BulkCreateInput!, $options: BulkOptions) { bulkCreate(input: $input, options: $options) { id } }"
)
FAILED = "fragment F on BulkOperation { failed rowErrors { edges { node { index path code } } } }"
#: Document, variables with %s in the place of a text.
TEXTS: list[tuple[str, Any]] = [
    ("query ($id: ID!) { operation(id: $id) { id } }", {"id": "%s"}),
    ("query ($f: TagFilter) { tags(filters: $f) { id } }", {"f": {"name": {"exact": "%s"}}}),
    ("query ($f: TagFilter) { tags(filters: $f) { id } }", {"f": {"name": {"inList": ["a", "%s"]}}}),
    ("query ($f: TagFilter) { tags(filters: $f) { id } }", {"f": {"NOT": {"name": {"regex": "%s"}}}}),
    ("query ($f: TagFilter) { tags(filters: $f) { id } }", {"f": {"id": {"exact": "%s"}}}),
    ("query ($f: OperationFilter) { operations(filters: $f) { totalCount } }", {"f": {"label": "%s"}}),
    ("query ($f: OperationFilter) { operations(filters: $f) { totalCount } }", {"f": {"createdBy": "%s"}}),
    ("query ($after: String) { operations(after: $after) { totalCount } }", {"after": "%s"}),
    ("mutation ($name: String!) { createUpload(name: $name) { id } }", {"name": "%s"}),
    ("mutation ($id: ID!) { retryOperation(id: $id) { id } }", {"id": "%s"}),
    (CREATE, {"input": {"tags": {"rows": [{"name": "a"}]}}, "options": {"label": "%s"}}),
    (CREATE, {"input": {"tags": {"rows": [{"name": "a"}]}}, "options": {"idempotencyKey": "%s"}}),
    (CREATE, {"input": {"tags": {"file": {"uploadId": "%s"}}}}),
    (CREATE, {"input": {"tags": {"file": {"uploadId": "1", "nullValues": ["NA", "%s"]}}}}),
]


def with_text(variables: Any, text: str) -> Any:
    if isinstance(variables, dict):
        return {name: with_text(value, text) for name, value in variables.items()}
    if isinstance(variables, list):
        return [with_text(value, text) for value in variables]
    return text if variables == "%s" else variables


def place_of_text(variables: Any) -> str | None:
    """$f.name.inList.1"""
    items = (
        variables.items()
        if isinstance(variables, dict)
        else enumerate(variables)
        if isinstance(variables, list)
        else ()
    )
    for key, value in items:
        if value == "%s":
            return str(key)
        if (rest := place_of_text(value)) is not None:
            return f"{key}.{rest}"
    return None


@pytest.mark.parametrize(("document", "variables"), TEXTS, ids=lambda one: json.dumps(one)[:70])
def test_text_that_no_database_takes_is_bad_input_with_its_place(user, document, variables):
    for text, fault in (
        (NUL, "has a null character, which the database does not take."),
        (HALF, "has half of a surrogate pair, which is not a character."),
    ):
        answer = asked(user, document, **with_text(variables, text))

        assert [(error.message, code) for error, code in zip(answer.errors, codes(answer), strict=True)] == [
            (f"${place_of_text(variables)} {fault}", "BAD_INPUT")
        ]
    assert not Operation.objects.exists()
    assert not Upload.objects.exists()


def test_text_that_no_database_takes_in_the_query_itself_is_bad_input(user):
    document = r'mutation { createUpload(name: "a\u0000b") { id } }'

    for _ in range(2):  # the second time the document is a known one
        answer = asked(user, document)

        assert codes(answer) == ["BAD_INPUT"]
        assert answer.errors[0].message == "A text in the query has a null character, which the database does not take."


def test_variable_of_many_levels_is_refused_before_it_is_read(user):
    deep: Any = {"name": {"exact": "a"}}
    for _ in range(5_000):
        deep = {"NOT": deep}

    answer = asked(user, "query ($f: TagFilter) { tags(filters: $f) { id } }", f=deep)

    assert codes(answer) == ["LIMIT_EXCEEDED"]
    assert "the limit is 20 (BULKQL_QUERY_DEPTH)" in answer.errors[0].message


@pytest.mark.django_db(transaction=True)  # a long text is executed in a thread of its own
@pytest.mark.parametrize("number", ["1" * 5_000, "-" + "9" * 30_000, "1" * 400, "1e999999", "-1e400", "1" * 4_000])
def test_number_of_any_length_is_an_error_of_its_row_alone(user, number):
    rows = f'[{{"name": "a", "number": 1}}, {{"name": "b", "number": {number}}}, {{"name": "c"}}]'
    variables: Any = decode(f'{{"input": {{"tags": {{"rows": {rows}}}}}}}')
    literal = rows.replace('"name"', "name").replace('"number"', "number")
    document = f"mutation ($input: BulkCreateInput!) {{ bulkCreate(input: $input) {{ ...F }} }} {FAILED}"
    tags = f"{{ rows: {literal}, matchBy: [NAME] }}"
    inline = f"mutation {{ bulkUpsert(input: {{ tags: {tags} }}) {{ ...F }} }} {FAILED}"

    for answer in (asked(user, document, **variables), asked(user, inline)):
        assert answer.data, answer.errors
        (told,) = answer.data.values()
        ((index, path, code),) = [tuple(edge["node"].values()) for edge in told["rowErrors"]["edges"]]
        assert (index, path) == (1, "number")
        assert code in ("INVALID", "OUT_OF_RANGE")
        assert told["failed"] == 1
    assert sorted(Tag.objects.values_list("name", flat=True)) == ["a", "c"]


def test_number_of_any_length_elsewhere_is_bad_input(user):
    long, large = "1" * 5_000, "1" * 40
    variables: Any = decode(f'{{"first": {long}, "size": {large}}}')

    first = asked(user, "query ($first: Int!) { operations(first: $first) { totalCount } }", first=variables["first"])
    size = asked(
        user, 'mutation ($size: BigInt) { createUpload(name: "a.csv", size: $size) { id } }', size=variables["size"]
    )

    assert (codes(first), codes(size)) == (["BAD_INPUT"], ["BAD_INPUT"])


def test_answer_may_quote_half_a_surrogate_pair():
    assert json.loads(encode({"errors": [{"message": HALF}]})) == {"errors": [{"message": HALF}]}


@pytest.mark.django_db(transaction=True)
def test_upload_that_several_send_at_once_is_stored_once(user):
    upload = uploads.announce(user, "a.csv", None)

    def send(number: int) -> str:
        try:
            return str(uploads.fill(Upload.objects.get(pk=upload.pk), ContentFile(b"%d\n" % number * 1_000_000)).pk)
        except BadInput as refused:
            return str(refused)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))

    refusals = {
        "This upload is being sent by another request; create another one.",
        "This upload already has its file; create another one.",
    }
    assert answers.count(str(upload.pk)) == 1
    assert set(answers) <= {str(upload.pk), *refusals}
    assert StoredFile.objects.count() == 1


TOYS = "{ toys(order: [{ sku: ASC }]) { sku shelf { code } } }"


@pytest.fixture
def toys(db: None) -> None:
    seen, unseen = Shelf.objects.create(code="a"), Shelf.objects.create(code="b", hidden=True)
    Toy.objects.create(sku="1", name="ball", shelf=seen, place=1)
    Toy.objects.create(sku="2", name="kite", shelf=unseen, place=2)
    Toy.objects.create(sku="3", name="lost")


def test_row_whose_target_is_hidden_stays_in_its_list(ask: Ask, user, toys):
    assert ask(user, TOYS)["toys"] == [
        {"sku": "1", "shelf": {"code": "a"}},
        {"sku": "2", "shelf": None},
        {"sku": "3", "shelf": None},
    ]


def test_target_that_the_user_may_not_view_is_forbidden_in_its_place(toys, django_user_model):
    bob = django_user_model.objects.create_user("bob")
    bob.user_permissions.add(Permission.objects.get(codename="view_toy"))

    answer = asked(bob, TOYS)

    assert answer.data["toys"] == [{"sku": sku, "shelf": None} for sku in "123"]
    assert set(codes(answer)) == {"FORBIDDEN"}
    assert [error.path for error in answer.errors][:2] == [["toys", 0, "shelf"], ["toys", 1, "shelf"]]
    assert answer.errors[0].message == "Reading shelves needs the permission zoo.view_shelf."


def test_every_reference_to_a_resource_is_nullable():
    """Also where the column is not: what it points to may be hidden."""
    fields = schema()._schema.type_map["FinancialTransaction"].fields

    assert str(fields["financialAccount"].type) == "FinancialAccount"


def test_list_that_the_user_may_not_view_is_forbidden(ask: Ask, toys, django_user_model):
    with pytest.raises(Refused) as refused:
        ask(django_user_model.objects.create_user("bob"), "{ toys { sku } }")

    ((_, message),) = refused.value.args[0]
    assert message == "Reading toys needs the permission zoo.view_toy."
