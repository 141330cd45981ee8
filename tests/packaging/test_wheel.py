"""What an installed wheel is: all of bulkql, nothing else, and whole without the checkout."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from tests.acceptance.service import Service, wait_for
from tests.packaging.conftest import BUILD, ROOT

ASSETS = {
    "explorer.css",
    "explorer.umd.js",
    "graphiql.min.css",
    "graphiql.min.js",
    "react-dom.production.min.js",
    "react.production.min.js",
}
BROKEN = "raise RuntimeError('a folder of the user was imported in place of bulkql')\n"
THEIRS = {
    "server/__init__.py": BROKEN,
    "server/settings.py": BROKEN,
    "schema/__init__.py": BROKEN,
    "workers/__init__.py": BROKEN,
    "examples/__init__.py": BROKEN,
    "theirapp/__init__.py": "",
    "theirapp/models.py": """
from django.db import models


class Note(models.Model):
    title = models.CharField(max_length=50, unique=True)
""",
    "theirapp/bulk.py": """
import bulkql

from .models import Note


@bulkql.register(Note)
class Notes(bulkql.BulkResource):
    fields = ("title",)
    match_fields = ("title",)
""",
    "theirapp/migrations/__init__.py": "",
    "theirapp/migrations/0001_initial.py": """
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Note",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("title", models.CharField(max_length=50, unique=True)),
            ],
        )
    ]
""",
}
TYPED = """
import bulkql
import polars as pl
from django.contrib.auth.models import Group


@bulkql.register(Group)
class Groups(bulkql.BulkResource):
    fields = ("name",)
    match_fields = ("name",)

    def clean_rows(self, rows: pl.DataFrame) -> pl.DataFrame | None:
        return bulkql.row_errors(rows.filter(pl.col("name") == "root"), "name", "This name is taken.")


reveal_type(bulkql.register(Group))
reveal_type(bulkql.register(Group)(Groups))
reveal_type(Groups(Group))
reveal_type(Groups.fields)
reveal_type(bulkql.row_errors(pl.DataFrame(), None, "Wrong."))
"""
RULES = "type[bulkql.workers.resources.registry.BulkResource]"
REVEALED = [
    f"def ({RULES}) -> {RULES}",
    RULES,
    "theirs.Groups",
    "tuple[str]",
    "polars.dataframe.frame.DataFrame",
]


def test_wheel_holds_every_package_of_the_checkout(wheel: Path) -> None:
    folders = ("bulkql", "server", "schema", "workers", "examples")
    modules = {str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*.py")}
    expected = {name if name.startswith("bulkql/") else f"bulkql/{name}" for name in modules}

    held = {name for name in ZipFile(wheel).namelist() if name.endswith(".py")}

    # The command that builds the wheel is the only module that stays behind.
    assert expected - held == {"bulkql/server/web/wheel.py"}
    assert held - expected == set()


def test_packages_listed_are_the_folders_with_an_init_file() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = set()
    for package, folder in setuptools["package-dir"].items():
        for init in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join([package, *init.parent.relative_to(ROOT / folder).parts]))

    assert sorted(setuptools["packages"]) == sorted(found)


def test_wheel_installs_bulkql_and_nothing_else(wheel: Path) -> None:
    assert {name.split("/")[0] for name in ZipFile(wheel).namelist()} == {"bulkql", "bulkql-0.1.0.dist-info"}


def test_wheel_holds_what_is_not_python(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())

    assert "bulkql/py.typed" in names
    assert "bulkql/server/web/templates/graphql/graphiql.html" in names
    assert "bulkql-0.1.0.dist-info/licenses/LICENSE" in names
    assert {f"bulkql/server/web/static/graphiql/{asset}" for asset in ASSETS} <= names


def test_sdist_holds_what_a_wheel_is_built_from(clone: Path, directory: Path) -> None:
    command = "from setuptools import build_meta; print(build_meta.build_sdist(__import__('sys').argv[1]))"
    subprocess.run([sys.executable, "-c", command, directory], cwd=clone, check=True, stdout=subprocess.DEVNULL)
    listed = subprocess.check_output(["tar", "tzf", directory / "bulkql-0.1.0.tar.gz"], text=True)

    held = {name.partition("/")[2] for name in listed.splitlines()}

    web = {f"server/web/{name}" for name in (".npmrc", "build.mjs", "package.json", "package-lock.json", "wheel.py")}
    assert web <= held
    assert {"pyproject.toml", "LICENSE", "README.md", "bulkql/py.typed"} <= held
    assert "server/web/templates/graphql/graphiql.html" in held


def test_wheel_without_npm_fails_and_says_what_to_do(directory: Path) -> None:
    bare = directory / "bare"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(bare)], check=True)

    done = subprocess.run(
        [sys.executable, *BUILD, str(directory / "none"), str(bare)],
        env={**os.environ, "PATH": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert not (directory / "none").exists() or not list((directory / "none").iterdir())
    assert (
        f"error: bulkql's wheel holds GraphiQL, and {bare}/server/web/static/graphiql is not built: npm was not found. "
        "Install Node.js 20 or newer with npm, and build the wheel again."
    ) in done.stdout + done.stderr


def test_lock_file_says_nothing_of_where_packages_come_from() -> None:
    assert "resolved" not in (ROOT / "server" / "web" / "package-lock.json").read_text()


def test_bulkql_and_its_namesakes_live_side_by_side(installed: Path) -> None:
    # -P: what is imported is what is installed, wherever this runs.
    command = "import bulkql, schema; print(bulkql.__file__); print(schema.Schema(int).validate(7))"
    (packages,) = (installed.parent / "lib").glob("python*/site-packages")

    told = subprocess.check_output([installed / "python", "-P", "-c", command], text=True)

    assert told.splitlines() == [str(packages / "bulkql" / "__init__.py"), "7"]


def test_types_reach_the_user(installed: Path, directory: Path) -> None:
    (directory / "theirs.py").write_text(TYPED)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(directory / "mypy"), "--config-file="]

    done = subprocess.run(
        [*mypy, "--python-executable", str(installed / "python"), "theirs.py"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )

    assert re.findall(r'Revealed type is "(.*)"', done.stdout) == REVEALED
    assert done.stdout.splitlines()[-1] == "Success: no issues found in 1 source file"


@pytest.fixture
def service(installed: Path, directory: Path) -> Iterator[Service]:
    """`bulkql up` out of the wheel, where a user has folders of the names of ours."""
    work = directory / "work"
    for name, text in THEIRS.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    ours = ("DATABASE_URL", "REDIS_URL", "BULKQL_APPS", "DJANGO_SETTINGS_MODULE", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    command = [str(installed / "bulkql"), "up", "--app", "theirapp", "--port", "0", "--data", "D"]
    printed = work / "up.log"
    with printed.open("w") as log:
        process = subprocess.Popen(command, cwd=work, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: "Ctrl-C stops it." in printed.read_text() or process.poll() is not None, 90, "the service")
        assert process.poll() is None, printed.read_text()
        state = json.loads((work / "D" / "service.json").read_text())
        token = subprocess.check_output(
            [command[0], "token", "admin", "--data", "D"], cwd=work, env=environment, text=True
        )
        yield Service(process, {**state, "log": printed.read_text()}, token.strip())
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_installed_service_writes_rows_and_shows_graphiql(service: Service) -> None:
    operation = service.create(notes={"rows": [{"title": "first"}, {"title": "second"}]})

    assert {**operation, "id": None} == {
        "id": None,
        "state": "COMPLETED",
        "total": 2,
        "created": 2,
        "failed": 0,
        "message": None,
    }
    (link,) = re.findall(r"Sign in a browser: (\S+)", service.state["log"])
    with httpx.Client(base_url=service.url, follow_redirects=True, timeout=30) as browser:
        page = browser.get(link)
        assert (page.url.path, page.status_code) == ("/graphiql", 200)
        assets = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
        assert {Path(asset).name for asset in assets} == ASSETS | {"page.css", "upload.css", "upload.js"}
        assert [browser.get(asset).status_code for asset in assets] == [200] * len(assets)
