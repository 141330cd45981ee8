"""The commands of a service, with our settings and with a project's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx

from tests.acceptance.service import running

SETTINGS = """
from bulkql.server.settings import *

INSTALLED_APPS = [*INSTALLED_APPS, "people"]
AUTH_USER_MODEL = "people.Person"
ASGI_APPLICATION = "people.asgi.application"
"""
MODELS = """
from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models


class People(BaseUserManager):
    def create_superuser(self, email, password=None):
        person = self.model(email=email, is_staff=True, is_superuser=True)
        person.set_password(password)
        person.save()
        return person


class Person(AbstractUser):
    username = None
    email = models.CharField(max_length=50, unique=True)
    objects = People()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []
"""
ASGI = """
from bulkql.server.asgi import application as ours


async def application(scope, receive, send):
    async def marked(message):
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-project", b"people")]
        await send(message)

    await ours(scope, receive, marked)
"""


def write_project(directory: Path) -> None:
    app = directory / "people"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "settings.py").write_text(SETTINGS)
    (app / "models.py").write_text(MODELS)
    (app / "asgi.py").write_text(ASGI)
    environment = {**os.environ, "PYTHONPATH": str(directory), "DJANGO_SETTINGS_MODULE": "people.settings"}
    command = [sys.executable, "-m", "django", "makemigrations", "people", "--verbosity", "0"]
    subprocess.run(command, env=environment, check=True)


def test_project_is_served_with_its_own_settings_application_and_users(tmp_path):
    write_project(tmp_path)
    own = {"PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "people.settings"}

    with running(tmp_path / "data", **own) as service:
        answer = httpx.get(f"{service.url}/readyz")
        who = service.post("{ bulkResources { name } }")

    assert (answer.status_code, answer.headers["x-project"]) == (200, "people")
    assert "errors" not in who
