"""Django's bulk_create of a CSV file's rows, in-process, without validation."""

import csv

from bench.peers.served.told import serve, set_up

set_up()

from django.db import transaction  # noqa: E402

from examples.ledger.models import FinancialTransaction  # noqa: E402

BATCH_ROWS = 10_000


def rows(path):
    with open(path, newline="") as file:
        return [
            FinancialTransaction(
                amount=row["amount"],
                description=row["description"],
                datetime=row["datetime"],
                financial_account_id=row["financial_account"],
                classification_status_id=row["classification_status"],
            )
            for row in csv.DictReader(file)
        ]


def create(path):
    with transaction.atomic():
        FinancialTransaction.objects.bulk_create(rows(path), batch_size=BATCH_ROWS)


def upsert(path):
    with transaction.atomic():
        FinancialTransaction.objects.bulk_create(
            rows(path),
            batch_size=BATCH_ROWS,
            update_conflicts=True,
            unique_fields=["financial_account", "datetime"],
            update_fields=["amount", "description", "classification_status"],
        )


serve(create=create, upsert=upsert)
