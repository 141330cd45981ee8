"""What an embedding project lacks is told with the line to add."""

from __future__ import annotations

import pytest
import strawberry
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.core.checks import Error, Warning
from django.test import override_settings

from bulkql.checks import check_project

LAYER = "channels_redis.pubsub.RedisPubSubChannelLayer"


@strawberry.type
class Query:
    @strawberry.field
    def one(self) -> int:
        return 1


foreign = strawberry.Schema(query=Query)


def test_our_own_project_lacks_nothing():
    assert check_project() == []


@override_settings(REDIS_URL=None)
def test_redis_must_be_named():
    assert check_project() == [
        Error(
            "BULKQL_REDIS_URL is not set, nor is REDIS_URL.",
            hint='Add to the settings: BULKQL_REDIS_URL = "redis://localhost:6379/0"',
            id="bulkql.E020",
        )
    ]


@override_settings(USE_TZ=False)
def test_moments_need_a_time_zone():
    (error,) = check_project()

    assert (error.id, error.msg.split(",")[0]) == ("bulkql.E029", "USE_TZ is False")


class ReadsOfReplicas:
    """A router that knows nothing of bulkql."""

    def db_for_read(self, model, **hints):
        return "replica"


class ButForTheLedger(ReadsOfReplicas):
    """The way out."""

    def db_for_read(self, model, **hints):
        return "default" if model._meta.app_label == "bulkql" else super().db_for_read(model, **hints)


def test_the_ledger_is_not_read_from_a_replica(settings):
    settings.DATABASE_ROUTERS = [ReadsOfReplicas()]
    (error,) = check_project()

    assert (error.id, error.msg.split(";")[0]) == (
        "bulkql.E048",
        "DATABASE_ROUTERS send bulkql's own tables to replica",
    )

    settings.DATABASE_ROUTERS = [ButForTheLedger()]
    assert check_project() == []


@pytest.mark.parametrize(
    ("layers", "message", "alias"),
    [
        ({}, "CHANNEL_LAYERS is not set.", "default"),
        (
            {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}},
            "CHANNEL_LAYERS has channels_redis.core.RedisChannelLayer as default, which does not receive progress "
            "events.",
            "bulkql",
        ),
    ],
)
def test_the_channel_layer_must_hear_of_progress(settings, layers, message, alias):
    settings.CHANNEL_LAYERS = layers

    assert check_project() == [
        Error(
            message,
            hint=f'Add to CHANNEL_LAYERS: "{alias}": '
            f'{{"BACKEND": "{LAYER}", "CONFIG": {{"hosts": [BULKQL_REDIS_URL]}}}}',
            id="bulkql.E021",
        )
    ]


def test_a_layer_of_our_own_may_stand_beside_the_projects(settings):
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.core.RedisChannelLayer"},
        "bulkql": {"BACKEND": LAYER},
    }

    assert check_project() == []


class OwnLayer(RedisPubSubChannelLayer):
    """A project's own, which hears of progress too."""


class Loosely:
    """No channel layer."""


def test_a_subclass_of_the_layer_hears_of_progress_too(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.OwnLayer"}}

    assert check_project() == []


@pytest.mark.parametrize("backend", [f"{__name__}.Loosely", f"{__name__}.Query", "tests.unit.nowhere.Layer", None])
def test_what_is_no_such_layer_is_named(settings, backend):
    settings.CHANNEL_LAYERS = {"bulkql": {"BACKEND": backend}}

    (error,) = check_project()

    assert (error.id, str(backend) in error.msg or error.msg == "CHANNEL_LAYERS is not set.") == ("bulkql.E021", True)


@override_settings(ROOT_URLCONF="django.contrib.auth.urls")
def test_the_urls_must_be_included():
    assert check_project() == [
        Error(
            "django.contrib.auth.urls does not include bulkql's URLs.",
            hint='Add to its urlpatterns: path("bulk/", include("bulkql.urls"))',
            id="bulkql.E022",
        )
    ]


@override_settings(BULKQL_SCHEMA="tests.unit.nowhere.schema")
def test_a_schema_that_is_not_there():
    assert check_project() == [
        Error(
            "BULKQL_SCHEMA is 'tests.unit.nowhere.schema', which cannot be imported: "
            "No module named 'tests.unit.nowhere'.",
            hint="Name the schema and its module, such as mysite.schema.schema.",
            id="bulkql.E023",
        )
    ]


@override_settings(BULKQL_SCHEMA=f"{__name__}.foreign")
def test_a_schema_without_the_row_lane():
    assert check_project() == [
        Error(
            "BULKQL_SCHEMA names a Schema, which does not serve bulk mutations.",
            hint="Make it a bulkql.graphql.Schema; it takes the arguments of strawberry.Schema.",
            id="bulkql.E024",
        )
    ]


@override_settings(ASGI_APPLICATION=None)
def test_wsgi_lacks_subscriptions():
    assert check_project() == [
        Warning(
            "ASGI_APPLICATION is not set. Under WSGI, mutations, uploads and queries work; subscriptions do not.",
            hint="Wrap the application in asgi.py with bulkql.asgi.with_websocket, and name it: "
            'ASGI_APPLICATION = "mysite.asgi.application"',
            id="bulkql.W025",
        )
    ]
