"""Accounts, statuses and the transactions between them."""

from django.db import models


class FinancialAccount(models.Model):
    """Where money lies."""

    name = models.CharField(max_length=100, unique=True, help_text="The account's name.")

    def __str__(self) -> str:
        return self.name


class ClassificationStatus(models.Model):
    """How far a transaction has been classified."""

    name = models.CharField(max_length=100, unique=True, help_text="The status's name.")

    class Meta:
        verbose_name_plural = "classification statuses"

    def __str__(self) -> str:
        return self.name


class FinancialTransaction(models.Model):
    """One movement of money on one account."""

    amount = models.DecimalField(max_digits=12, decimal_places=2, help_text="Negative for money that leaves.")
    description = models.TextField(help_text="What the bank wrote.")
    datetime = models.DateTimeField(help_text="When the money moved.")
    financial_account = models.ForeignKey(FinancialAccount, on_delete=models.CASCADE)
    classification_status = models.ForeignKey(ClassificationStatus, on_delete=models.PROTECT)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["financial_account", "datetime"], name="one_transaction_a_moment"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} at {self.datetime:%Y-%m-%d %H:%M}"
