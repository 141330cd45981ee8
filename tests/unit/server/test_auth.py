"""The project's own authentication decides; our tokens count only where our middleware is installed."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.test import RequestFactory
from django.urls import resolve

from bulkql.server.auth import csrf_failure, token_for, user_of_request, user_of_token


@pytest.fixture
def request_(rf: RequestFactory):
    """A request as Django's own middleware leaves it, with a session of nobody."""
    request = rf.get("/")
    request.session = SessionStore()
    AuthenticationMiddleware(lambda request: None).process_request(request)
    return request


@pytest.mark.django_db(transaction=True)
def test_the_sessions_user_is_nobody(request_):
    assert async_to_sync(user_of_request)(request_) == AnonymousUser()


def test_middleware_may_set_request_user_alone(request_):
    request_.user = User(pk=7)

    assert async_to_sync(user_of_request)(request_) == User(pk=7)


def test_middleware_may_set_auser(request_):
    async def auser():
        return User(pk=8)

    request_.auser = auser

    assert async_to_sync(user_of_request)(request_) == User(pk=8)


def test_without_middleware_it_is_nobody(rf):
    assert async_to_sync(user_of_request)(rf.get("/")) == AnonymousUser()


@pytest.mark.django_db
def test_tokens_count_where_our_middleware_is(user):
    assert user_of_token(token_for(user)) == user


@pytest.mark.django_db
def test_tokens_do_not_count_elsewhere(user, settings):
    token = token_for(user)
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("BearerMiddleware")]

    assert user_of_token(token) is None


@pytest.mark.parametrize(("path", "status"), [("/graphql", 401), ("/admin/", 403)])
def test_a_csrf_failure_of_our_own_views_is_graphqls(rf, path, status):
    request = rf.post(path)
    request.resolver_match = resolve(path)

    assert csrf_failure(request).status_code == status
