"""A project as `django-admin startproject` makes it, with README's lines, an app, and users of an own model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg

README = (Path(__file__).parents[2] / "README.md").read_text()
#: README's lines, by the file to which they are added.
LINES: dict[str, str] = dict(re.findall(r"```py\n# (mysite/\w+\.py)\n(.*?)```", README, re.DOTALL))

#: The project as it was before.
MODELS = """
import uuid

from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import models


class User(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    USERNAME_FIELD = "email"


class Product(models.Model):
    name = models.CharField(max_length=50, unique=True)
"""
TASKS = """
import dramatiq
from dramatiq.brokers.stub import StubBroker

dramatiq.set_broker(StubBroker())


@dramatiq.actor
def own_task():
    pass
"""
BULK = """
import bulkql

from .models import Product


@bulkql.register(Product)
class Products(bulkql.BulkResource):
    fields = ("name",)
"""
APPS = """
from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"
    default = True

    def ready(self):
        from shop import tasks
"""

#: What its owner does once, and what the test wants to know.
PREPARE = """
import json
import django
django.setup()
from django.core.management import call_command
call_command("makemigrations", "shop", verbosity=0)
call_command("migrate", verbosity=0)
import dramatiq
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.test import Client
from bulkql.workers.actors import handle_chunk
from shop.tasks import own_task
client = Client(SERVER_NAME="localhost")
client.force_login(get_user_model()._default_manager.create(email="ada@example.org", is_superuser=True))
brokers = [type(one).__name__ for one in (dramatiq.get_broker(), own_task.broker, handle_chunk.broker)]
checks = [str(message) for message in run_checks()]
# Django's test client is a WSGI server.
body = {
    "query": "mutation ($i: BulkCreateInput!) { bulkCreate(input: $i) { state created } }",
    "variables": {"i": {"products": {"rows": [{"name": "Quince"}]}}},
}
wsgi = client.post("/api/bulk/graphql", body, content_type="application/json").json()
print(json.dumps({"wsgi": wsgi, "session": client.cookies["sessionid"].value, "brokers": brokers, "checks": checks}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A running project."""

    url: str
    #: What PREPARE printed.
    told: dict[str, Any]
    #: What `bulkql token` printed.
    token: str


@contextmanager
def running(directory: Path) -> Iterator[Project]:
    """The project with its web server and a worker, stopped at the end."""
    create(directory)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BULKQL_", "DJANGO_"))}
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
        environment.pop(name, None)
    environment["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
    options: dict[str, Any] = {"cwd": directory, "env": environment, "text": True}
    printed = subprocess.run([sys.executable, "-c", PREPARE], check=True, stdout=subprocess.PIPE, **options).stdout
    command = str(Path(sys.executable).parent / "bulkql")
    token = subprocess.run([command, "token", "ada@example.org"], check=True, stdout=subprocess.PIPE, **options).stdout
    with ExitStack() as stack:
        started(stack, subprocess.Popen([command, "work", "--processes", "1"], **options))
        web = [sys.executable, "-m", "uvicorn", "mysite.asgi:application", "--port", "0", "--no-access-log"]
        server = started(stack, subprocess.Popen(web, stderr=subprocess.PIPE, **options))
        yield Project(url=url_of(server), told=json.loads(printed), token=token.strip())


def create(directory: Path) -> None:
    """The files."""
    subprocess.run([sys.executable, "-m", "django", "startproject", "mysite", str(directory)], check=True)
    files = {"models": MODELS, "tasks": TASKS, "bulk": BULK, "apps": APPS, "__init__": "", "migrations/__init__": ""}
    for name, text in files.items():
        path = directory / "shop" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    append(directory / "mysite/settings.py", own_settings())
    for name, lines in LINES.items():
        append(directory / name, lines.replace("redis://localhost:6379/0", os.environ["REDIS_URL"]))


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(f"\n{text}")


def own_settings() -> str:
    """The project's app, its users, and a database of its own beside that of the other tests."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE DATABASE mysite")
    database = {**dj_database_url.parse(os.environ["DATABASE_URL"]), "NAME": "mysite"}
    (bearer,) = re.findall(r"`(MIDDLEWARE \+= .*?)`", README)
    app = f'INSTALLED_APPS += ["shop"]\nAUTH_USER_MODEL = "shop.User"\n{bearer}\n'
    return f'{app}DATABASES = {{"default": {database!r}}}\n'


def started(stack: ExitStack, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """A process that is stopped at the end."""
    stack.enter_context(process)
    stack.callback(process.terminate)
    return process


def url_of(server: subprocess.Popen[str]) -> str:
    """Where uvicorn says that it runs."""
    assert server.stderr is not None
    lines = []
    for line in server.stderr:
        lines.append(line)
        if found := re.search(r"running on (http://\S+)", line):
            return found[1]
    raise AssertionError("".join(lines))
