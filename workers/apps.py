"""The app that owns bulkql's tables and pipeline."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class WorkersConfig(AppConfig):
    name = "workers"
    label = "bulkql"
    verbose_name = "bulkql"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from workers import broker, checks  # noqa: F401  (the checks and the broker register themselves)

        # As django.contrib.admin does with admin.py: importing an app's bulk.py registers its resources.
        autodiscover_modules("bulk")
