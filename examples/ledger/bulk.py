"""The ledger's bulk resources."""

import bulkql

from .models import ClassificationStatus, FinancialAccount, FinancialTransaction


@bulkql.register(FinancialAccount)
class FinancialAccounts(bulkql.BulkResource):
    fields = ("name",)
    match_fields = ("name",)


@bulkql.register(ClassificationStatus)
class ClassificationStatuses(bulkql.BulkResource):
    fields = ("name",)
    match_fields = ("name",)


@bulkql.register(FinancialTransaction)
class FinancialTransactions(bulkql.BulkResource):
    fields = ("amount", "description", "datetime", "financial_account", "classification_status")
    match_fields = ("financial_account", "datetime")
