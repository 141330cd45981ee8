"""django-bulk-drf 0.2: synchronous bulk endpoints."""

from django_bulk_drf import BulkModelSerializer, BulkModelViewSet, BulkRouter

from bench.peers.served.serializers import FIELDS
from examples.ledger.models import FinancialTransaction


class TransactionSerializer(BulkModelSerializer):
    class Meta:
        model = FinancialTransaction
        fields = FIELDS


class UpsertSerializer(BulkModelSerializer):
    class Meta:
        model = FinancialTransaction
        fields = FIELDS
        # The framework's own check of the unique key would refuse every row that is there.
        validators = []


class Transactions(BulkModelViewSet):
    queryset = FinancialTransaction.objects.all()
    unique_fields = ["financial_account", "datetime"]

    def get_serializer_class(self):
        return TransactionSerializer if self.request.method == "POST" else UpsertSerializer


router = BulkRouter()
router.register("transactions", Transactions)
urlpatterns = router.urls
