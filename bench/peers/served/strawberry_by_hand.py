"""Strawberry as one writes it by hand: a typed list of rows, and full_clean and save for each."""

import datetime
import decimal

import strawberry
from django.db import transaction
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from strawberry.django.views import GraphQLView

from examples.ledger.models import FinancialTransaction


@strawberry.input
class Row:
    amount: decimal.Decimal
    description: str
    datetime: datetime.datetime
    financial_account: strawberry.ID
    classification_status: strawberry.ID


@strawberry.type
class Query:
    ok: bool = True


@strawberry.type
class Mutation:
    @strawberry.mutation
    def create(self, rows: list[Row]) -> int:
        with transaction.atomic():
            for row in rows:
                save(row, FinancialTransaction())
        return len(rows)

    @strawberry.mutation
    def upsert(self, rows: list[Row]) -> int:
        with transaction.atomic():
            for row in rows:
                key = {"financial_account_id": row.financial_account, "datetime": row.datetime}
                save(row, FinancialTransaction.objects.filter(**key).first() or FinancialTransaction())
        return len(rows)


def save(row: Row, instance: FinancialTransaction) -> None:
    instance.amount = row.amount
    instance.description = row.description
    instance.datetime = row.datetime
    instance.financial_account_id = row.financial_account
    instance.classification_status_id = row.classification_status
    instance.full_clean()
    instance.save()


urlpatterns = [path("graphql", csrf_exempt(GraphQLView.as_view(schema=strawberry.Schema(Query, Mutation))))]
