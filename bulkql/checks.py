"""What a project that embeds bulkql lacks -> Django's system checks, each with the line to add."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, connection, router, transaction
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

LAYER = "channels_redis.pubsub.RedisPubSubChannelLayer"


@register("bulkql")
def check_project(**_: Any) -> list[CheckMessage]:
    """The settings and URLs of the project."""
    return [
        *redis_errors(),
        *layer_errors(),
        *url_errors(),
        *schema_errors(),
        *moment_errors(),
        *router_errors(),
        *websocket_warnings(),
    ]


def redis_errors() -> Iterator[CheckMessage]:
    """Where Redis is must be told."""
    if not (getattr(settings, "BULKQL_REDIS_URL", None) or getattr(settings, "REDIS_URL", None)):
        yield Error(
            "BULKQL_REDIS_URL is not set, nor is REDIS_URL.",
            hint='Add to the settings: BULKQL_REDIS_URL = "redis://localhost:6379/0"',
            id="bulkql.E020",
        )


def layer_errors() -> Iterator[CheckMessage]:
    """Progress travels through Redis pub/sub, which other channel layers do not hear."""
    layers = getattr(settings, "CHANNEL_LAYERS", {})
    name = "bulkql" if "bulkql" in layers else "default"
    backend = layers.get(name, {}).get("BACKEND")
    if hears_of_progress(backend):
        return
    alias = "default" if backend is None else "bulkql"
    found = "is not set" if backend is None else f"has {backend} as {name}, which does not receive progress events"
    yield Error(
        f"CHANNEL_LAYERS {found}.",
        hint=f'Add to CHANNEL_LAYERS: "{alias}": {{"BACKEND": "{LAYER}", "CONFIG": {{"hosts": [BULKQL_REDIS_URL]}}}}',
        id="bulkql.E021",
    )


def hears_of_progress(backend: str | None) -> bool:
    """Whether a channel layer is that of Redis pub/sub, or a project's own that inherits from it."""
    from channels_redis.pubsub import RedisPubSubChannelLayer

    try:
        layer = import_string(backend or "")
    except ImportError:
        return False
    return isinstance(layer, type) and issubclass(layer, RedisPubSubChannelLayer)


def url_errors() -> Iterator[CheckMessage]:
    """createUpload's url, the files' and the websocket's path come from the URLs."""
    try:
        reverse("bulkql:graphql")
    except NoReverseMatch:
        yield Error(
            f"{settings.ROOT_URLCONF} does not include bulkql's URLs.",
            hint='Add to its urlpatterns: path("bulk/", include("bulkql.urls"))',
            id="bulkql.E022",
        )


def schema_errors() -> Iterator[CheckMessage]:
    """A project's own schema must carry rows past GraphQL's coercion."""
    name = getattr(settings, "BULKQL_SCHEMA", None)
    if not name:
        return
    from bulkql.graphql import Schema

    try:
        schema = import_string(name)
    except ImportError as error:
        yield Error(
            f"BULKQL_SCHEMA is {name!r}, which cannot be imported: {error}.",
            hint="Name the schema and its module, such as mysite.schema.schema.",
            id="bulkql.E023",
        )
        return
    if not isinstance(schema, Schema):
        yield Error(
            f"BULKQL_SCHEMA names a {type(schema).__name__}, which does not serve bulk mutations.",
            hint="Make it a bulkql.graphql.Schema; it takes the arguments of strawberry.Schema.",
            id="bulkql.E024",
        )


def moment_errors() -> Iterator[CheckMessage]:
    """Moments need a time zone: an hour of each year would come twice, and leases and plans would end in it."""
    if not settings.USE_TZ:
        yield Error(
            "USE_TZ is False, and bulkql works with moments that have a time zone.",
            hint="Set USE_TZ = True. A project that cannot do so can serve bulkql beside itself, with bulkql's own "
            "settings and the same PostgreSQL database, which stores moments alike for both: bulkql up --app yourapp",
            id="bulkql.E029",
        )


@register("bulkql", Tags.database)
def check_isolation(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Whoever waits for a lock must see what its holder has written: of two who retry at once, one is refused.

    It asks the database, as `migrate`, `bulkql up`, `bulkql doctor` and `check --database default` let it.
    """
    from bulkql.workers.backends import backend

    if DEFAULT_DB_ALIAS not in (databases or ()) or (ask := backend(DEFAULT_DB_ALIAS).isolation) is None:
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ask)
        level = cursor.fetchone()[-1].replace("-", " ").upper()
    if level == "READ COMMITTED":
        return []
    return [
        Error(
            f"Transactions in the database `{DEFAULT_DB_ALIAS}` are {level}, and bulkql needs READ COMMITTED ones.",
            hint=f'Remove "isolation_level" from DATABASES["{DEFAULT_DB_ALIAS}"]["OPTIONS"], or the default that the '
            "database or its role has. A project that needs it can serve bulkql beside itself, with bulkql's own "
            "settings and the same database: bulkql up --app yourapp",
            id="bulkql.E049",
        )
    ]


@register("bulkql")
def check_schema(**_: Any) -> list[CheckMessage]:
    """The schema of the registered resources, built: what fails here would fail the web process."""
    from bulkql.workers.resources.checks import check_resources
    from bulkql.workers.resources.registry import registered

    if check_resources():
        return []  # each of them says itself what is wrong
    from bulkql.schema.checks.building import building_errors

    return list(building_errors(registered()))


@register("bulkql")
def check_webhooks(**_: Any) -> list[CheckMessage]:
    """URLs that the project itself names: each has to be one that is allowed."""
    from bulkql.workers.resources.registry import _registry  # not in their order, for which each has to be sound
    from bulkql.workers.webhooks.targets import NotAllowed, Rules, check_target, default_url, signers

    found: list[CheckMessage] = []
    named = {f"{one.label}.webhook_url": one.webhook_url for one in _registry.values()}
    named["BULKQL_WEBHOOK_URL"] = default_url()
    for name, url in named.items():
        try:
            if url:
                check_target(url)
        except NotAllowed as refused:
            found.append(Error(f"{name} is refused: {refused}.", hint="See docs/webhooks.md.", id="bulkql.E027"))
    rules = Rules.in_force()
    try:
        if rules.hosts:
            signers(rules.secret)
    except NotAllowed as refused:
        hint = "Make one: python -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\""
        found.append(Error(f"{refused}, and BULKQL_WEBHOOK_HOSTS is set.", hint=hint, id="bulkql.E026"))
    return found


def router_errors() -> Iterator[CheckMessage]:
    """What was written a moment ago is read again: a replica may not have it yet."""
    models = apps.get_app_config("bulkql").get_models()
    aliases = {ask(model) for model in models for ask in (router.db_for_read, router.db_for_write)}
    if others := sorted(aliases - {DEFAULT_DB_ALIAS}):
        yield Error(
            f"DATABASE_ROUTERS send bulkql's own tables to {', '.join(others)}; they must be read and written in the "
            f"database `{DEFAULT_DB_ALIAS}`.",
            hint=f'Return "{DEFAULT_DB_ALIAS}" from db_for_read and db_for_write if model._meta.app_label is "bulkql".',
            id="bulkql.E048",
        )


def websocket_warnings() -> Iterator[CheckMessage]:
    """Under WSGI there are no websockets."""
    if getattr(settings, "ASGI_APPLICATION", None) is None:
        yield Warning(
            "ASGI_APPLICATION is not set. Under WSGI, mutations, uploads and queries work; subscriptions do not.",
            hint="Wrap the application in asgi.py with bulkql.asgi.with_websocket, and name it: "
            'ASGI_APPLICATION = "mysite.asgi.application"',
            id="bulkql.W025",
        )


@register("bulkql", "security", deploy=True)
def check_deployment(**_: Any) -> list[CheckMessage]:
    """What our own settings module needs to be told before it serves the world."""
    if getattr(settings, "BULKQL_HTTPS", True):
        return []
    return [
        Warning(
            "BULKQL_HTTPS is not set: passwords, tokens and rows may be sent unencrypted.",
            hint="Let a proxy end TLS and set X-Forwarded-Proto, and start the service with BULKQL_HTTPS=true. "
            "That sets what security.W004, W008, W012 and W016 ask for.",
            id="bulkql.W030",
        )
    ]
