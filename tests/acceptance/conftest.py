"""One service on PostgreSQL and one on SQLite for all acceptance tests, each with a ledger to write to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.service import Service, running, wait_for

COUNTRIES = [
    {"iso": iso, "iso3": iso3, "name": f"Country {iso}", "continent": "EU"}
    for iso, iso3 in (("LI", "LIE"), ("AT", "AUT"), ("CH", "CHE"))
]


@pytest.fixture(scope="package")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service on PostgreSQL, started once; it ends with the last of these tests, for it takes time from others."""
    with running(tmp_path_factory.mktemp("service") / "data") as service:
        create_parents(service)
        yield service


@pytest.fixture(scope="package")
def started_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service on SQLite, started once."""
    directory = tmp_path_factory.mktemp("sqlite")
    with running(directory / "data", DATABASE_URL=f"sqlite:///{directory / 'bulkql.sqlite3'}") as service:
        create_parents(service)
        yield service


def create_parents(service: Service) -> None:
    accounts = [{"name": f"Account {number}"} for number in range(100)]
    statuses = [{"name": name} for name in ("Open", "Classified", "Doubtful")]
    service.create({"mode": "SYNC"}, financialAccounts={"rows": accounts}, classificationStatuses={"rows": statuses})


@pytest.fixture
def service(started: Service) -> Service:
    """The service with no transactions in it: accounts have the ids 1 to 100, statuses 1 to 3."""
    # An operation that the test before did not wait for still writes rows.
    unfinished = "SELECT id FROM bulkql_operation WHERE finished_at IS NULL"
    wait_for(lambda: not started.sql(unfinished), 60, "all operations to be over")
    started.sql("TRUNCATE ledger_financialtransaction RESTART IDENTITY")
    return started


@pytest.fixture(params=["started", "started_on_sqlite"], ids=["postgresql", "sqlite"])
def each_service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service on each database: accounts 1 to 100, statuses 1 to 3, three countries, and nothing else."""
    service = request.getfixturevalue(request.param)
    empty(service)
    service.create({"mode": "SYNC"}, countries={"rows": COUNTRIES})
    yield service
    empty(service)


def empty(service: Service) -> None:
    for rows in (
        "places_city",
        "places_country",
        "ledger_financialtransaction",
        "ledger_financialaccount WHERE id > 100",
        "ledger_classificationstatus WHERE id > 3",
    ):
        service.sql(f"DELETE FROM {rows}")
