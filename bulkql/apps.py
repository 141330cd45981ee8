"""The Django app: INSTALLED_APPS = [..., "bulkql"]."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class BulkqlConfig(AppConfig):
    """The app whose models, migrations and checks are those of bulkql.workers."""

    name = "bulkql.workers"
    label = "bulkql"
    verbose_name = "bulkql"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from bulkql.workers.messaging import broker  # noqa: F401  (the broker registers itself)
        from bulkql.workers.resources import checks  # noqa: F401  (the checks register themselves)

        # As django.contrib.admin does with admin.py: importing an app's bulk.py registers its resources.
        autodiscover_modules("bulk")
