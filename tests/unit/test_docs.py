"""What README.md and docs/ name is there: documents, code, commands and their options, settings, checks, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from graphql import parse, validate
from typer.main import get_command

from bulkql.schema.schema import schema
from bulkql.server import cli
from bulkql.workers.conf import Limits

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
COMMANDS = get_command(cli.app).commands  # type: ignore[attr-defined]  # typer's app with several commands is a group
SOURCES = "\n".join(
    path.read_text() for folder in ("bulkql", "server", "schema", "workers") for path in (ROOT / folder).rglob("*.py")
)
pages = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def blocks(language: str) -> list[str]:
    return [block for page in PAGES.values() for block in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)]


# Those of errors.md are wrong on purpose, some in their types; tests/integration/test_docs_errors.py sends them.
@pytest.mark.parametrize("document", [one for one in blocks("graphql") if one not in PAGES["errors.md"]])
def test_documents_are_valid(document):
    assert validate(schema()._schema, parse(document)) == []


@pytest.mark.parametrize("block", blocks("python") + blocks("py"))
def test_code_compiles(block):
    compile(block, "docs", "exec")


@pages
def test_commands_have_the_options_that_the_page_gives_them(page):
    for name, rest in re.findall(r"bulkql ([a-z-]+)([^\n`]*)", page):
        if name in COMMANDS:
            assert named_in(rest) <= options(name), f"bulkql {name}{rest}"


def test_the_options_of_import_are_those_of_its_table():
    section = PAGES["commands.md"].split("## import")[1].split("\n## ")[0]
    named = named_in(section)

    assert named <= options("import")
    assert options("import") - named <= {"--url", "--token", "--data", "--help", "--wait"}


def test_the_page_has_all_commands():
    shown = {name for name, command in COMMANDS.items() if not command.hidden}

    assert shown <= set(re.findall(r"bulkql ([a-z-]+)", PAGES["commands.md"]))


def named_in(text: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]*", text))


def options(command: str) -> set[str]:
    parameters = COMMANDS[command].params
    names = {name for one in parameters for name in (*one.opts, *one.secondary_opts)} | {"--help"}
    return {name for name in names if name.startswith("--")}


@pages
def test_settings_are_read_somewhere(page):
    for name in re.findall(r"BULKQL_[A-Z_]+[A-Z]", page):
        is_limit = name.removeprefix("BULKQL_").lower() in Limits.__dataclass_fields__
        assert is_limit or hasattr(settings, name) or f'"{name}"' in SOURCES, name


@pages
def test_checks_are_made_somewhere(page):
    for name in re.findall(r"bulkql\.([EIW]\d{3})", page):
        assert f"bulkql.{name}" in SOURCES, name


@pages
def test_links_and_files_are_there(page):
    folder = ROOT if page == PAGES["README.md"] else ROOT / "docs"
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page)

    assert [target for target in targets if not (folder / target).exists()] == []
    assert [name for name in re.findall(r"(tests/[\w/]+\.py)", page) if not (ROOT / name).exists()] == []
