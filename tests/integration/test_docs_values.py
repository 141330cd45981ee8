"""The example of docs/values.md is run, and does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import User

from bulkql.workers.enums import Verb
from bulkql.workers.resources.checks import resource_errors
from bulkql.workers.resources.registry import _registry, resource_of

PAGE = (Path(__file__).parents[2] / "docs/values.md").read_text()


@pytest.fixture
def _people(settings):
    """The page's resource, for as long as the test runs."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {})
    yield
    del _registry[User]


@pytest.mark.usefixtures("_people")
@pytest.mark.django_db(transaction=True)
def test_the_example_hashes_passwords_and_spells_names_in_one_way(bulk):
    resource = resource_of(User)
    assert resource is not None
    assert list(resource_errors(resource)) == []

    created = bulk(Verb.CREATE, "users", [{"username": " Bob ", "email": "B@X.org", "password": "s3cret"}])
    bulk(Verb.UPDATE, "users", [{"username": "BOB", "email": "c@x.org"}])

    assert created.outcomes == ["CREATED"]
    bob = User.objects.get(username="bob")
    assert bob.email == "c@x.org"
    assert check_password("s3cret", bob.password)
