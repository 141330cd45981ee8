"""Ten transactions of two accounts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction


@pytest.fixture
def accounts() -> list[FinancialAccount]:
    return FinancialAccount.objects.bulk_create(FinancialAccount(name=f"account {n}") for n in range(10))


@pytest.fixture
def ten(accounts) -> list[FinancialTransaction]:
    """Five transactions of each of the first two accounts."""
    status = ClassificationStatus.objects.create(name="open")
    return FinancialTransaction.objects.bulk_create(
        FinancialTransaction(
            amount=n,
            description="coffee",
            datetime=datetime(2026, 1, 1 + n, tzinfo=UTC),
            financial_account=accounts[place],
            classification_status=status,
        )
        for place in range(2)
        for n in range(5)
    )
