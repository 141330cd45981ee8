"""django-drf-extensions: bulk endpoints that hand their rows to Celery."""

from django.urls import include, path
from django_drf_extensions import OperationsMixin, OperationStatusView
from rest_framework import routers, viewsets

from bench.peers.served.serializers import TransactionSerializer, UpsertSerializer
from examples.ledger.models import FinancialTransaction


class Transactions(OperationsMixin, viewsets.ModelViewSet):
    queryset = FinancialTransaction.objects.all()

    def get_serializer_class(self):
        return TransactionSerializer if self.request.method == "POST" else UpsertSerializer


router = routers.DefaultRouter()
router.register("transactions", Transactions)
urlpatterns = [path("", include(router.urls)), path("status/<str:task_id>/", OperationStatusView.as_view())]
