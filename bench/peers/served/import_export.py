"""django-import-export with use_bulk, in-process, as its documentation advises for speed."""

from bench.peers.served.told import serve, set_up

set_up()

import tablib  # noqa: E402
from import_export import resources  # noqa: E402

from examples.ledger.models import FinancialTransaction  # noqa: E402

WIDGETS = {"datetime": {"format": "%Y-%m-%dT%H:%M:%S%z"}}
FIELDS = ("amount", "description", "datetime", "financial_account", "classification_status")


class Creating(resources.ModelResource):
    class Meta:
        model = FinancialTransaction
        fields = FIELDS
        widgets = WIDGETS
        # No row is there: it need not look.
        import_id_fields = ()
        force_init_instance = True
        use_bulk = True
        skip_diff = True


class Upserting(resources.ModelResource):
    class Meta:
        model = FinancialTransaction
        fields = FIELDS
        widgets = WIDGETS
        import_id_fields = ("financial_account", "datetime")
        use_bulk = True
        skip_diff = True


def import_with(resource):
    def run(path):
        with open(path) as file:
            data = tablib.Dataset().load(file.read(), format="csv")
        resource().import_data(data, raise_errors=True, use_transactions=True)

    return run


serve(create=import_with(Creating), upsert=import_with(Upserting))
