"""Rows as they are sent, and what became of them."""

from __future__ import annotations

from bulkql.examples.ledger.models import FinancialAccount, FinancialTransaction

#: As much as the rows ask for.
ANY = {"delete_missing": True, "max_delete_percent": 100}


def row_of(one: FinancialTransaction, **values):
    return {
        "amount": one.amount,
        "description": one.description,
        "datetime": one.datetime,
        "financial_account": one.financial_account_id,
        "classification_status": one.classification_status_id,
        **values,
    }


def names() -> list[str]:
    return sorted(FinancialAccount.objects.values_list("name", flat=True))


def counts(operation) -> dict[str, int]:
    found = {
        name: getattr(operation, name) for name in ("created", "updated", "unchanged", "deleted", "failed", "skipped")
    }
    return {name: count for name, count in found.items() if count}
