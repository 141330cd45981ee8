"""One running service for all browser tests, and a fresh browser for each, signed in by the link that it prints."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.service import Service, running
from tests.browser.graphiql import GraphiQL, chromium


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="session")
def service(directory: Path) -> Iterator[Service]:
    """The service with the examples, as `bulkql up` runs it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("BULKQL_APPS")  # the apps of the tests in this process
        with running(directory / "data") as service:
            yield service


@pytest.fixture
def graphiql(service: Service, directory: Path, tmp_path: Path) -> Iterator[GraphiQL]:
    """GraphiQL in a fresh browser; its picture is kept in the test's directory."""
    link = service.sign_in_link()
    browser = chromium(program("chromium"), program("chromedriver"), tmp_path / "profile")
    try:
        page = GraphiQL(browser)
        page.open(link)
        yield page
        browser.save_screenshot(str(tmp_path / "graphiql.png"))
    finally:
        browser.quit()


def program(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is not here; on Debian: apt-get install chromium chromium-driver"
    return path
