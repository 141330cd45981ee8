"""The ledger's serializers for Django REST framework, as its documentation writes them."""

from rest_framework import serializers

from examples.ledger.models import FinancialTransaction

FIELDS = ["id", "amount", "description", "datetime", "financial_account", "classification_status"]


class TransactionSerializer(serializers.ModelSerializer):
    class Meta:
        model = FinancialTransaction
        fields = FIELDS


class UpsertSerializer(serializers.ModelSerializer):
    class Meta:
        model = FinancialTransaction
        fields = FIELDS
        # The framework's own check of the unique key would refuse every row that is there.
        validators = []
