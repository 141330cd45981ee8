"""A ledger: the README's and the benchmarks' example."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    #: bulkql.examples.ledger, or wherever else this folder lies.
    name = __name__.rpartition(".")[0]
    label = "ledger"
    default_auto_field = "django.db.models.BigAutoField"
