"""django-bulk-drf 0.1: bulk endpoints that hand their rows to Celery."""

from django.urls import path
from django_bulk_drf import BulkOperationsMixin, BulkOperationStatusView
from rest_framework import viewsets

from bench.peers.served.serializers import TransactionSerializer, UpsertSerializer
from examples.ledger.models import FinancialTransaction


class Transactions(BulkOperationsMixin, viewsets.ModelViewSet):
    queryset = FinancialTransaction.objects.all()

    def get_serializer_class(self):
        return TransactionSerializer if self.request.method == "POST" else UpsertSerializer


# Its actions share one path, of which a router serves the first alone: PATCH would be answered with 405.
bulk = Transactions.as_view({"post": "bulk_create", "patch": "bulk_update"})
urlpatterns = [
    path("transactions/bulk/", bulk),
    path("status/<str:task_id>/", BulkOperationStatusView.as_view()),
]
