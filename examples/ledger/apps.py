"""A ledger: the README's and the benchmarks' example."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "examples.ledger"
    label = "ledger"
    default_auto_field = "django.db.models.BigAutoField"
