"""One service for all acceptance tests, with a ledger to write to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.service import Service, running


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, started once."""
    directory = tmp_path_factory.mktemp("service")
    with running(directory / "data") as service:
        accounts = [{"name": f"Account {number}"} for number in range(100)]
        statuses = [{"name": name} for name in ("Open", "Classified", "Doubtful")]
        service.create(
            {"mode": "SYNC"}, financialAccounts={"rows": accounts}, classificationStatuses={"rows": statuses}
        )
        yield service


@pytest.fixture
def service(started: Service) -> Service:
    """The service with no transactions in it: accounts have the ids 1 to 100, statuses 1 to 3."""
    started.sql("TRUNCATE ledger_financialtransaction RESTART IDENTITY")
    return started
