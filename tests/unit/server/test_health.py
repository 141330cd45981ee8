"""What /readyz tells an orchestrator."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import RequestFactory

from bulkql.server import health

OK = {"status": "ok", "database": True, "redis": True}


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch):
    monkeypatch.setattr(health, "_is_complete", False)


def ask() -> tuple[int, Any]:
    answer = health.ready(RequestFactory().get("/readyz"))
    return answer.status_code, json.loads(answer.content)


@pytest.mark.django_db
def test_ready_where_database_redis_and_tables_are_there():
    assert ask() == (200, OK)


@pytest.mark.django_db
def test_missing_tables_are_named_with_the_command_that_helps(monkeypatch):
    lack = "shop.Product has no table shop_product in the database default; run `bulkql migrate`."
    monkeypatch.setattr(health, "lacking_tables", lambda: [lack])

    assert ask() == (503, {"status": "unavailable", "database": True, "redis": True, "missing": [lack]})


@pytest.mark.django_db
def test_tables_are_looked_for_until_they_are_all_there(monkeypatch):
    answers = [["a lack"], [], ["never asked for"]]
    monkeypatch.setattr(health, "lacking_tables", lambda: answers.pop(0))

    assert [ask()[0] for _ in range(4)] == [503, 200, 200, 200]
    assert answers == [["never asked for"]]


def test_database_that_fails_is_named(monkeypatch):
    def fail() -> list[str]:
        raise DatabaseError("the server closed the connection")

    monkeypatch.setattr(health, "ask_database", fail)

    assert ask() == (503, {"status": "unavailable", "database": False, "redis": True})


def test_database_that_does_not_answer_in_time_is_named(monkeypatch):
    end = threading.Event()

    def hang() -> list[str]:
        end.wait()
        return []

    monkeypatch.setattr(health, "ask_database", hang)
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.1)

    answers = [ask(), ask()]
    end.set()

    assert [(status, body["database"]) for status, body in answers] == [(503, False)] * 2


def test_redis_that_does_not_answer_is_named(monkeypatch, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(health, "ask_database", list)

    assert ask() == (503, {"status": "unavailable", "database": True, "redis": False})
