"""Tokens and sign-in links: for how long they are good, and for what."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from bulkql.examples.places.models import Country
from bulkql.server.auth import token_for, user_of_token
from bulkql.server.authority import links
from bulkql.workers.conf import limits

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def days_later(monkeypatch: Any) -> Any:
    """Let so many days go by."""

    def go(days: float) -> None:
        now, at = time.time() + days * 86400, links.tokens._now() + timedelta(days=days)
        monkeypatch.setattr(time, "time", lambda: now)
        monkeypatch.setattr(links.tokens, "_now", lambda: at)

    return go


def test_token_expires_after_thirty_days(user, days_later):
    token = token_for(user)

    days_later(29.9)
    before = user_of_token(token)
    days_later(0.2)

    assert (before, user_of_token(token)) == (user, None)


def test_token_expires_when_it_was_told_to(user, days_later):
    token = token_for(user, days=1)

    days_later(1.01)

    assert user_of_token(token) is None


def test_the_end_of_a_token_cannot_be_put_off(user):
    short, long = token_for(user, days=0), token_for(user, days=300)
    forged = f"{long.partition('.')[0]}.{short.partition('.')[2]}"

    assert (user_of_token(forged), user_of_token(long)) == (None, user)


@pytest.mark.parametrize(
    "token", ["", ".", "x", "zzzzzz.", ".abc", "zzzzzz.\0", "ä.ä", "z" * 30 + ".a", "-1.a", "zzzzzz." + "a" * 9000]
)
def test_junk_is_no_token(db, token):
    assert user_of_token(token) is None


def test_token_is_void_once_the_password_changes(user):
    token = token_for(user)

    user.set_password("another")
    user.save()

    assert user_of_token(token) is None


def follow(query: str) -> Any:
    browser = Client()
    answer = browser.get(f"/sign-in{query}")
    return answer.status_code, browser.session.get("_auth_user_id")


def test_sign_in_link_works_once(user):
    query = links.sign_in_query(user)

    assert [follow(query), follow(query)] == [(302, str(user.pk)), (403, None)]


def test_sign_in_link_works_for_ten_minutes(user, days_later):
    query = links.sign_in_query(user)

    days_later((limits().sign_in_seconds + 2) / 86400)

    assert follow(query) == (403, None)


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": make_password("other")}], ids=["off", "changed"])
def test_sign_in_link_of_a_changed_user_is_void(user, change):
    query = links.sign_in_query(user)

    type(user).objects.filter(pk=user.pk).update(**change)

    assert follow(query) == (403, None)


@pytest.mark.parametrize(
    "query", ["", "?user=1", "?user=x&token=y-z", "?user=%00&token=1-2", "?token=&user=", "?user=9" + "9" * 30]
)
def test_junk_signs_nobody_in(user, query):
    assert follow(query) == (403, None)


@pytest.mark.postgresql
def test_junk_signs_nobody_in_where_the_keys_of_users_are_texts(db, monkeypatch):
    monkeypatch.setattr(links, "get_user_model", lambda: Country)

    assert follow("?user=%00&token=1-2") == (403, None)


def test_link_of_one_user_signs_no_other_in(user, django_user_model):
    other = django_user_model.objects.create_superuser("eve")
    token = parse_qs(links.sign_in_query(other)[1:])["token"][0]

    assert follow(f"?user={user.pk}&token={token}") == (403, None)


@pytest.mark.parametrize(("accept", "kind"), [("text/html,*/*;q=0.8", "text/html"), ("*/*", "application/json")])
def test_used_link_says_how_to_get_a_new_one(user, accept, kind):
    answer = Client().get("/sign-in?user=1&token=x", headers={"Accept": accept})

    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (403, kind)
    assert "This link was used or is too old; `bulkql sign-in` prints a new one." in answer.content.decode()
