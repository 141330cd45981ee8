"""The superuser admin, and what a project's user model may ask for besides a name."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User

from bulkql.server.preparation import AdminNotCreated, admin, prepare

pytestmark = pytest.mark.django_db


def test_admin_is_created_once():
    first = admin()

    assert admin() == first
    assert list(User.objects.values_list("username", "is_superuser", "is_staff")) == [("admin", True, True)]


def test_field_without_a_default_that_the_user_model_requires_is_named(monkeypatch):
    monkeypatch.setattr(User, "REQUIRED_FIELDS", ["email", "password"])

    with pytest.raises(AdminNotCreated) as refused:
        admin()

    assert str(refused.value) == (
        "auth.User requires password, so the superuser admin is not created; create one with "
        "`python manage.py createsuperuser`, and print its token with `bulkql token NAME`."
    )
    assert not get_user_model().objects.exists()


def test_prepared_service_has_its_admin():
    prepare()

    assert User.objects.get().username == "admin"


def test_service_without_its_tables_is_not_started(monkeypatch):
    lack = "shop.Product has no table shop_product in the database default; run `bulkql migrate`."
    monkeypatch.setattr("bulkql.workers.resources.tables.lacking_tables", lambda: [lack])

    with pytest.raises(SystemExit) as refused:
        prepare()

    assert str(refused.value) == lack
    assert not User.objects.exists()
