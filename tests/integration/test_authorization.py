"""Who gets what: the table of rules, held against every field, argument and URL that the service has.

The members are generated: from the schema, the registered resources and the URL patterns. What is new and has no rule
here fails.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from importlib import import_module
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.db import connection
from django.test import AsyncClient
from django.urls import URLPattern, URLResolver, get_resolver
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_object_type,
)

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.schema.context import Context
from bulkql.schema.permissions import hidden_contents
from bulkql.schema.schema import schema
from bulkql.server.auth import token_for
from bulkql.workers.downloads import signatures
from bulkql.workers.enums import State, Verb
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.models import Delivery, Operation
from bulkql.workers.operations import running, steps
from bulkql.workers.operations.applying import ApplyRequest, apply_plan
from bulkql.workers.operations.retry import retry
from bulkql.workers.resources.registry import registered, resource_named
from bulkql.workers.uploads.uploads import announce, fill
from bulkql.workers.webhooks import deliveries

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("_asked_each_time")]

#: Owner: whose operation it is, with all permissions. Other: the same without the operation. Revoked: the owner,
#: deactivated since. Staff has no permission of a model; unpermitted is the owner after all were taken.
SUBJECTS = ("anonymous", "junk", "revoked", "other", "owner", "staff", "unpermitted")

IN, WHO, NO, NONE, EMPTY = "let in", "UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND", "let in, and sees nothing"

# fmt: off
#: Every field of the root types. RESOURCE: one for each resource that is registered.
ROOTS = {
    #                                     anonymous junk revoked other  owner staff  unpermitted
    "Query.operation":                    (WHO,     WHO, WHO,    NONE,  IN,   IN,    IN),
    "Query.operations":                   (WHO,     WHO, WHO,    EMPTY, IN,   IN,    IN),
    "Query.bulkResources":                (WHO,     WHO, WHO,    IN,    IN,   IN,    IN),
    "Query.limits":                       (WHO,     WHO, WHO,    IN,    IN,   IN,    IN),
    "Query.resourceTemplate":             (WHO,     WHO, WHO,    IN,    IN,   NO,    NO),
    "Query.RESOURCE":                     (WHO,     WHO, WHO,    IN,    IN,   NO,    NO),
    "Mutation.cancelOperation":           (WHO,     WHO, WHO,    NONE,  IN,   IN,    IN),
    "Mutation.pauseOperation":            (WHO,     WHO, WHO,    NONE,  IN,   IN,    IN),
    "Mutation.resumeOperation":           (WHO,     WHO, WHO,    NONE,  IN,   IN,    IN),
    "Mutation.retryOperation":            (WHO,     WHO, WHO,    NONE,  IN,   NO,    NO),
    "Mutation.revertOperation":           (WHO,     WHO, WHO,    NONE,  IN,   NO,    NO),
    "Mutation.applyOperation":             (WHO,     WHO, WHO,    NONE,  IN,   NO,    NO),
    "Mutation.resendWebhook":             (WHO,     WHO, WHO,    NONE,  IN,   IN,    IN),
    "Mutation.createUpload":              (WHO,     WHO, WHO,    IN,    IN,   NO,    NO),
    "Mutation.bulkCreate.RESOURCE":       (WHO,     WHO, WHO,    IN,    IN,   NO,    NO),
    "Mutation.bulkUpdate.RESOURCE":       (WHO,     WHO, WHO,    IN,    IN,   NO,    NO),
    "Mutation.bulkReplace.RESOURCE":      (WHO,     WHO, WHO,    IN,    IN,   NO,    NO),
    "Mutation.bulkUpsert.RESOURCE":       (WHO,     WHO, WHO,    IN,    IN,   NO,    NO),
    "Mutation.bulkDelete.RESOURCE":       (WHO,     WHO, WHO,    IN,    IN,   NO,    NO),
    "Mutation.bulkSync.RESOURCE":         (WHO,     WHO, WHO,    IN,    IN,   NO,    NO),
    "Mutation.bulkExport.RESOURCE":       (WHO,     WHO, WHO,    IN,    IN,   NO,    NO),
    "Subscription.operation":             (WHO,     WHO, WHO,    NONE,  IN,   IN,    IN),
    "Subscription.operations":            (WHO,     WHO, WHO,    EMPTY, IN,   EMPTY, IN),
}
#: Every URL: method, then the status for each subject.
URLS = {
    #                                             anonymous junk revoked other owner staff unpermitted
    "":                                   ("GET", 302,      302, 302,    302,  302,  302,  302),
    "graphql":                            ("GET", 401,      401, 401,    400,  400,  400,  400),
    "graphiql":                           ("GET", 302,      302, 302,    200,  200,  200,  200),
    "metrics":                            ("GET", 401,      401, 401,    200,  200,  403,  403),
    # By tus: what it lacks here is its version, which is asked once it is known who asks, and may upload.
    "uploads":                            ("POST",401,      401, 401,    412,  412,  403,  403),
    "uploads/<uuid:upload_id>":           ("PUT", 401,      401, 401,    404,  200,  403,  403),
    "files/<uuid:operation_id>/<str:signature>/<str:name>":
                                          ("GET", 401,      401, 401,    404,  200,  403,  200),
    "files/templates/<str:signature>/<str:name>":
                                          ("GET", 401,      401, 401,    200,  200,  403,  403),
    "sign-in":                            ("GET", 403,      403, 403,    403,  403,  403,  403),
    "healthz":                            ("GET", 200,      200, 200,    200,  200,  200,  200),
    "readyz":                             ("GET", 200,      200, 200,    200,  200,  200,  200),
    # Django's own; who may see what there, its permissions say.
    "admin/":                             ("GET", 302,      302, 302,    302,  302,  200,  302),
}
# fmt: on

#: The permissions that each bulk mutation takes; each of them.
NEEDED = {
    "bulkCreate": ["add"],
    "bulkUpdate": ["change"],
    "bulkReplace": ["change"],
    "bulkUpsert": ["add", "change"],
    "bulkDelete": ["delete"],
    "bulkSync": ["add", "change"],  # and for deleteMissing "delete": tests/integration/sync/
    "bulkExport": ["view"],  # and for what foreign keys lead to, theirs: tests/integration/test_export_rights.py
}
#: Fields of an operation that hold what stands in rows: staff sees them with the resource's view permission only.
CONTENTS = {
    *("RowError.message", "RowError.data", "ErrorGroup.message", "ErrorGroup.example"),
    *("RowResult.pk", "RowResult.changes", "BulkOperation.files"),
}
#: All other fields of the types that are no resource's: whoever sees the operation, sees them. A resource's own fields
#: are seen under its view permission, by the rule of Query.RESOURCE.
PLAIN = {
    "BulkOperation": "id kind state resources total processed created updated unchanged deleted failed skipped "
    "exported percentage rowsPerSecond etaSeconds message label dryRun onError startAt maxRowsPerSecond createdAt "
    "startedAt finishedAt createdBy retryOf revertOf reverted appliedFrom appliedAs planUntil cascades rowErrors "
    "errorGroups results deliveries",
    "BulkOperationConnection": "edges pageInfo totalCount",
    "BulkOperationEdge": "cursor node",
    "Cascade": "model count",
    "Change": "field before after",
    "CreatedUpload": "id url method headers expiresAt tusResumable",
    "Delivery": "id host state tries nextTryAt createdAt deliveredAt",
    "DeliveryTry": "at seconds status error",
    "ErrorGroup": "resource path code count",
    "Header": "name value",
    "Limit": "name setting limit used resetAt",
    "OperationFile": "name format url rows bytes expiresAt",
    "PageInfo": "hasNextPage hasPreviousPage startCursor endCursor",
    "ResourceCounts": "resource total processed created updated unchanged deleted failed skipped exported",
    "ResourceInfo": "name typeName fields requiredFields writableFields readableFields matchFields operations",
    "ResourceTemplate": "name format url expiresAt",
    "RevertCounts": "undone changedSince impossible",
    "RowError": "index line resource path code documentation",
    "RowErrorConnection": "edges pageInfo totalCount",
    "RowErrorEdge": "cursor node",
    "RowResult": "index resource outcome",
    "RowResultConnection": "edges pageInfo totalCount",
    "RowResultEdge": "cursor node",
}
#: What is given for each argument; those of the root fields are all given, one by one. INPUT stands for a resource's
#: rows, ID for the owner's operation.
ARGUMENTS = {
    "Query.operation": {"id": "ID"},
    "Query.operations": {"filters": '{label: "mine"}', "order": "CREATED_AT_ASC", "first": "5", "after": "null"},
    "Query.bulkResources": {},
    "Query.limits": {},
    "Query.resourceTemplate": {"resource": '"financialAccounts"', "verb": "CREATE"},
    "Query.RESOURCE": {"filters": "{}", "order": "[]", "pagination": "{limit: 1}"},
    "Mutation.cancelOperation": {"id": "ID"},
    "Mutation.pauseOperation": {"id": "ID"},
    "Mutation.resumeOperation": {"id": "ID"},
    "Mutation.retryOperation": {"id": "ID"},
    "Mutation.revertOperation": {"id": "ID", "force": "false", "options": "{dryRun: true}"},
    "Mutation.applyOperation": {"id": "ID", "options": '{label: "mine"}'},
    "Mutation.resendWebhook": {"id": "DELIVERY"},
    "Mutation.createUpload": {"name": '"t.csv"', "size": "3"},
    **{f"Mutation.{name}": {"input": "INPUT", "options": '{label: "mine", dryRun: true}'} for name in NEEDED},
    "Subscription.operation": {"id": "ID"},
    "Subscription.operations": {},
    "BulkOperation.rowErrors": {"first": "10", "after": "null"},
    "BulkOperation.results": {"first": "10", "after": "null"},
}

TYPES = schema()._schema.type_map
RESOURCES = registered()
ROW_TYPES = {resource.type_name for resource in RESOURCES}
NAMES = {resource.name for resource in RESOURCES}
#: A test of its own makes the table of a model that is not managed.
WITH_TABLES = {resource.name for resource in RESOURCES if resource.model._meta.managed}


def members_of_roots() -> Iterator[str]:
    """Each root field, and each resource of a bulk mutation's input, by the name of its rule."""
    for root in ("Query", "Mutation", "Subscription"):
        for name, field in fields_of(root).items():
            if root == "Query" and name in NAMES:
                yield "Query.RESOURCE"
            elif name.startswith("bulk") and root == "Mutation":
                given: Any = get_named_type(field.args["input"].type)
                assert given.fields.keys() <= NAMES
                yield f"{root}.{name}.RESOURCE"
            else:
                yield f"{root}.{name}"


def fields_of(name: str) -> dict[str, GraphQLField]:
    kind = TYPES[name]
    assert isinstance(kind, GraphQLObjectType)
    return kind.fields


def selection(kind: Any, depth: int = 0) -> str:
    """Every field of a type with every argument, and theirs."""
    if is_leaf_type(kind):
        return ""
    parts = []
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if depth > 6:
            continue
        given = ARGUMENTS.get(f"{kind.name}.{name}", {})
        arguments = f"({', '.join(f'{key}: {value}' for key, value in given.items())})" if given else ""
        parts.append(f"{name}{arguments}{selection(inner, depth + 1)}")
    return f" {{ {' '.join(parts)} }}"


def patterns(urls: Any = None, prefix: str = "") -> Iterator[str]:
    """All routes; those of the admin are one."""
    for one in (urls or get_resolver()).url_patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver) and one.app_name != "admin":
            yield from patterns(one, route)
        else:
            assert isinstance(one, URLPattern | URLResolver)
            yield route


def test_every_root_field_has_a_rule():
    assert set(members_of_roots()) == set(ROOTS)


def test_every_field_of_a_type_has_a_rule():
    found = {
        f"{kind.name}.{name}"
        for kind in TYPES.values()
        if is_object_type(kind) and not kind.name.startswith("__") and kind.name not in ROW_TYPES
        if kind.name not in ("Query", "Mutation", "Subscription")
        for name in fields_of(kind.name)
    }
    plain = {f"{kind}.{name}" for kind, names in PLAIN.items() for name in names.split()}

    assert plain.isdisjoint(CONTENTS)
    assert found == plain | CONTENTS


def test_every_field_of_a_resources_type_is_of_the_resource():
    for resource in RESOURCES:
        lists = [by_pk for by_pk, *_ in resource.lists.values()]
        given = {column.graphql_name for column in (resource.pk, *resource.columns.values(), *lists)}

        assert fields_of(resource.type_name).keys() <= given | {"pk"}, resource.name


def test_every_argument_is_given():
    given = {f"{field}.{name}" for field, names in ARGUMENTS.items() for name in names}
    found = {
        f"{kind.name}.{'RESOURCE' if kind.name == 'Query' and name in NAMES else name}.{argument}"
        for kind in TYPES.values()
        if is_object_type(kind) and not kind.name.startswith("__") and kind.name not in ROW_TYPES
        for name, field in fields_of(kind.name).items()
        for argument in field.args
    }

    assert found == given


def test_every_url_has_a_rule():
    assert set(patterns()) == set(URLS)


class World:
    """The owner with an operation, and the others."""

    def __init__(self, users: Any) -> None:
        self.owner, self.other = users.create_user("owner"), users.create_user("other")
        self.staff = users.create_user("staff", is_staff=True)
        for user in (self.owner, self.other):
            user.user_permissions.set(Permission.objects.all())
        self.tokens = {name: token_for(getattr(self, name)) for name in ("owner", "other", "staff")}
        self.tokens["junk"] = "MZXW6.AAAAA"
        FinancialAccount.objects.create(name="secret")
        rows = [{"name": "secret"}, {"name": "fresh"}, {"name": None}]
        inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=rows)]
        self.operation = running.run(
            BulkRequest(verb=Verb.CREATE, user=self.owner, inputs=inputs, mode=Mode.SYNC, label="mine")
        )
        Operation.objects.filter(pk=self.operation.pk).update(calls_back=True)
        deliveries.announce(self.operation, ["https://hooks.example.org/secret"])

    def token(self, subject: str) -> str | None:
        """What the subject sends; and what has befallen it."""
        if subject == "revoked":
            type(self.owner).objects.filter(pk=self.owner.pk).update(is_active=False)
        if subject == "unpermitted":
            self.owner.user_permissions.clear()
        return None if subject == "anonymous" else self.tokens.get(subject, self.tokens["owner"])

    def user(self, subject: str) -> Any:
        """The user as the database has it, or None where there is none to let in."""
        self.token(subject)
        name = {"unpermitted": "owner"}.get(subject, subject)
        return type(self.owner).objects.get(username=name) if name in ("owner", "other", "staff") else None


@pytest.fixture
def world(django_user_model: Any) -> World:
    return World(django_user_model.objects)


def request(method: str, path: str, token: str | None, body: bytes = b"", kind: str = "text/csv") -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}

    async def ask() -> tuple[int, bytes]:
        answer = await AsyncClient().generic(method, path, body, kind, headers=headers)
        whole = b"".join([part async for part in answer]) if answer.streaming else answer.content
        return answer.status_code, whole

    return async_to_sync(ask)()


def post(token: str | None, document: str) -> dict[str, Any]:
    _, body = request("POST", "/graphql", token, json.dumps({"query": document}).encode(), "application/json")
    answer: dict[str, Any] = json.loads(body)
    return answer


def verdict(answer: dict[str, Any]) -> str:
    """How an answer is told in the table. What is wrong with the input is told to those who were let in."""
    codes = {error["extensions"]["code"] for error in answer.get("errors") or []}
    if codes & {WHO, NO, NONE}:
        assert len(codes) == 1
        assert not answer.get("data") or not any(answer["data"].values())
        return codes.pop()
    assert codes <= {"BAD_INPUT"}, answer
    (found,) = (answer.get("data") or {"": True}).values()
    return EMPTY if isinstance(found, dict) and found.get("totalCount") == 0 else IN


def document_of(root: str, name: str, operation: Operation, given: str = "") -> str:
    """A root field with all of its arguments, and all fields of its type with all of theirs.

    What an operation tells is the same for all that return one: Query.operation asks for it.
    """
    field = fields_of(root)[name]
    rule = "Query.RESOURCE" if root == "Query" and name in NAMES else f"{root}.{name}"
    deliveries = Delivery.objects.filter(operation=operation).values_list("pk", flat=True)
    values = {"ID": f'"{operation.pk}"', "INPUT": given, "DELIVERY": f'"{deliveries.first()}"'}
    arguments = ", ".join(f"{key}: {values.get(value, value)}" for key, value in ARGUMENTS[rule].items())
    kind: Any = get_named_type(field.type)
    is_short = kind.name == "BulkOperation" and rule != "Query.operation"
    fields = " { id }" if is_short else selection(kind)
    return f"{root.lower()} {{ {name}{f'({arguments})' if arguments else ''}{fields} }}"


def expected(rule: str, subject: str) -> str:
    return ROOTS[rule][SUBJECTS.index(subject)]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_root_fields_let_in_whom_their_rules_name(world, subject):
    token = world.token(subject)
    rules = [rule for rule in ROOTS if "RESOURCE" not in rule and "Subscription" not in rule]

    found = {rule: verdict(post(token, document_of(*rule.split("."), world.operation))) for rule in rules}
    rows = {name: verdict(post(token, document_of("Query", name, world.operation))) for name in WITH_TABLES}

    assert found == {rule: expected(rule, subject) for rule in rules}
    assert rows == dict.fromkeys(WITH_TABLES, expected("Query.RESOURCE", subject))


def inputs_of_mutations() -> list[tuple[str, str]]:
    return [
        (mutation, name)
        for mutation in NEEDED
        for name in getattr(get_named_type(fields_of("Mutation")[mutation].args["input"].type), "fields", {})
        if name in WITH_TABLES
    ]


def rows_for(mutation: str, name: str) -> str:
    source = {"bulkDelete": 'ids: ["0"]', "bulkExport": "format: CSV"}.get(mutation, "rows: [{}]")
    return f"{{{name}: {{{source}}}}}"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_resource_of_every_bulk_mutation_is_written_by_whom_the_rule_names(world, subject):
    token = world.token(subject)
    rules = {(one, name): expected(f"Mutation.{one}.RESOURCE", subject) for one, name in inputs_of_mutations()}

    found = {
        (mutation, name): verdict(post(token, document_of("Mutation", mutation, world.operation, given)))
        for mutation, name in rules
        if (given := rows_for(mutation, name))
    }

    assert found == rules


def test_each_permission_of_a_bulk_mutation_is_needed(world):
    needed = [(one, name, action) for one, name in inputs_of_mutations() for action in NEEDED[one]]

    for mutation, name, action in needed:
        model = resource_named(name).model._meta
        codename = f"{action}_{model.model_name}"
        permission = Permission.objects.get(codename=codename, content_type__app_label=model.app_label)
        world.owner.user_permissions.remove(permission)
        answer = post(
            world.tokens["owner"], document_of("Mutation", mutation, world.operation, rows_for(mutation, name))
        )
        world.owner.user_permissions.add(permission)

        assert verdict(answer) == NO
        assert f"{model.app_label}.{codename}" in answer["errors"][0]["message"]


class Listener:
    """An open websocket, without its wire."""

    def __init__(self, user: Any) -> None:
        self.user = user
        self.is_revoked = False

    async def ask(self) -> Any:
        return self.user

    async def revoke(self) -> None:
        self.is_revoked = True


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("rule", ["Subscription.operation", "Subscription.operations"])
def test_subscription_tells_whom_its_rule_names(world, rule, subject):
    name = rule.split(".")[1]
    Operation.objects.filter(pk=world.operation.pk).update(finished_at=None, state=State.RUNNING)
    listener = Listener(world.user(subject))
    context = Context(request=None, user=listener.user, consumer=listener)
    document = document_of("Subscription", name, world.operation)

    async def first() -> Any:
        stream: AsyncGenerator[Any, None] = await schema().stream(document, context_value=context)
        try:
            # Those who see nothing would wait for ever: one empty reading of the database is enough.
            return await anext(stream) if expected(rule, subject) != EMPTY else None
        finally:
            await stream.aclose()

    if expected(rule, subject) == EMPTY:
        from bulkql.schema.subscriptions import at_work

        assert at_work(listener.user, []) == []
        return
    result = async_to_sync(first)()
    answer = {"data": result.data, "errors": [error.formatted for error in result.errors or []]}
    assert verdict(answer) == expected(rule, subject)
    assert listener.is_revoked == (expected(rule, subject) == WHO)


def contents(world: World, token: str) -> tuple[list[Any], list[Any], list[Any]]:
    """What is told of the operation's rows: errors, primary keys, files."""
    operation = post(token, document_of("Query", "operation", world.operation))["data"]["operation"]
    errors = [(edge["node"]["message"], edge["node"]["data"]) for edge in operation["rowErrors"]["edges"]]
    keys = [(edge["node"]["pk"], edge["node"]["changes"]) for edge in operation["results"]["edges"]]
    assert [edge["node"]["outcome"] for edge in operation["results"]["edges"]] == ["FAILED", "CREATED", "FAILED"]
    assert len(errors) == operation["rowErrors"]["totalCount"] == 2
    return errors, keys, [file["name"] for file in operation["files"]]


def test_staff_reads_what_stands_in_others_rows_with_the_view_permission_only(world):
    to_owner = contents(world, world.tokens["owner"])
    hidden = contents(world, world.tokens["staff"])
    world.staff.user_permissions.add(Permission.objects.get(codename="view_financialaccount"))
    shown = contents(world, world.tokens["staff"])

    needs = "Reading this needs the permission ledger.view_financialaccount."
    assert hidden == ([(needs, None)] * 2, [(None, None)] * 3, [])
    assert shown == to_owner
    assert to_owner[1][1] == (str(FinancialAccount.objects.get(name="fresh").pk), None)
    assert "financialAccounts-failed.csv" in to_owner[2]


def test_a_retry_or_an_application_does_not_make_others_rows_ones_own(world):
    world.staff.user_permissions.add(Permission.objects.get(codename="add_financialaccount"))
    retried = retry(world.operation, world.staff)
    running.write_now(retried)
    retried.refresh_from_db()
    again = retry(retried, world.staff)

    for one in (retried, again):
        assert hidden_contents(world.staff, one) == {"financialAccounts": "ledger.view_financialaccount"}
    plan = running.run(
        BulkRequest(
            verb=Verb.CREATE,
            user=world.owner,
            inputs=[InputRequest(resource=resource_named("financialAccounts"), rows=[{"name": "private"}])],
            mode=Mode.SYNC,
            dry_run=True,
        )
    )
    world.staff.user_permissions.add(Permission.objects.get(codename="apply_operation"))
    # Django remembers a user's permissions.
    staff = type(world.staff).objects.get(pk=world.staff.pk)
    applied = apply_plan(ApplyRequest(plan=plan, user=staff, mode=Mode.SYNC))
    assert hidden_contents(world.staff, applied) == {"financialAccounts": "ledger.view_financialaccount"}

    # What they were made of is purged before them.
    Operation.objects.filter(pk__in=[world.operation.pk, plan.pk]).delete()
    for pk in (retried.pk, again.pk, applied.pk):
        left = Operation.objects.get(pk=pk)
        assert hidden_contents(world.staff, left) == {"financialAccounts": "ledger.view_financialaccount"}
        assert hidden_contents(world.owner, left) == {}


def test_rows_of_older_retries_find_who_sent_them(world):
    between = Operation.objects.create(verb=Verb.CREATE, created_by=world.staff, retry_of=world.operation)
    last = Operation.objects.create(verb=Verb.CREATE, created_by=world.other, retry_of=between)

    import_module("bulkql.workers.migrations.0015_rows_by").find_senders(apps, connection.schema_editor(atomic=False))

    senders = Operation.objects.filter(pk__in=[between.pk, last.pk, world.operation.pk]).values_list("pk", "rows_by")
    assert dict(senders) == {between.pk: world.owner.pk, last.pk: world.owner.pk, world.operation.pk: None}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_urls_answer_whom_their_rules_name(world, subject):
    name, template = "financialAccounts-failed.csv", "financialAccounts-create.xlsx"
    values = {
        "templates/<str:signature>": f"templates/{signatures.sign(signatures.TEMPLATES, template)[0]}",
        "<uuid:upload_id>": str(announce(world.owner, "t.csv", None).pk),
        "<uuid:operation_id>": str(world.operation.pk),
        "<str:signature>": signatures.sign(world.operation.pk, name)[0],
    }
    token = world.token(subject)

    found = {}
    for route, (method, *_) in URLS.items():
        path = "/" + route.replace("<str:name>", template if "templates" in route else name)
        for converter, value in values.items():
            path = path.replace(converter, value)
        status, body = request(method, path, token, b"name\na\n" if method == "PUT" else b"")
        found[route] = status
        assert (b"secret" in body) == (status == 200 and route.startswith("files/<uuid"))

    assert found == {route: statuses[SUBJECTS.index(subject)] for route, (_, *statuses) in URLS.items()}


@pytest.mark.parametrize("mutation", NEEDED)
def test_permission_that_is_taken_while_an_operation_waits_stops_every_verb(world, mutation):
    verb = Verb(mutation.removeprefix("bulk").upper())
    resource = resource_named("financialAccounts")
    pk = FinancialAccount.objects.get(name="secret").pk
    rows = [{"id": str(pk), "name": f"changed by {verb}"}]
    match_by = None if verb in (Verb.CREATE, Verb.UPSERT, Verb.SYNC) else ["id"]
    inputs = [InputRequest(resource=resource, rows=rows, match_by=match_by)]
    operation, _ = accept(BulkRequest(verb=verb, user=world.owner, inputs=inputs, mode=Mode.ASYNC))

    world.token("unpermitted")
    for chunk in operation.chunks.all():
        steps.write_chunk(chunk.pk)

    operation.refresh_from_db()
    assert operation.state == State.FAILED
    assert "needs the permission ledger." in operation.message
    assert list(FinancialAccount.objects.filter(pk=pk).values_list("name", flat=True)) == ["secret"]


def test_files_that_a_revoked_user_sent_are_nobody_elses(world):
    upload = fill(announce(world.owner, "t.csv", None), ContentFile(b"name\na\n"))
    given = f'{{financialAccounts: {{file: {{uploadId: "{upload.pk}"}}}}}}'

    answer = post(world.tokens["other"], document_of("Mutation", "bulkCreate", world.operation, given))

    assert verdict(answer) == NONE
