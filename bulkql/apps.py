"""The Django app: INSTALLED_APPS = [..., "bulkql"]."""

from pathlib import Path

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.utils.module_loading import autodiscover_modules

from bulkql import server
from bulkql.statements import remember_little


class BulkqlConfig(AppConfig):
    """The app whose models, migrations and checks are those of bulkql.workers."""

    name = "bulkql.workers"
    label = "bulkql"
    verbose_name = "bulkql"
    default_auto_field = "django.db.models.BigAutoField"
    #: Where a project's template loaders and staticfiles finders look: GraphiQL's page and its assets.
    path = str(Path(server.__file__).parent / "web")

    def ready(self) -> None:
        from bulkql import checks  # noqa: F401  (the checks register themselves)
        from bulkql.workers.resources import checks as resource_checks  # noqa: F401
        from bulkql.workers.resources import extensions, imitations, lane_checks, relations  # noqa: F401

        connection_created.connect(remember_little)
        # As django.contrib.admin does with admin.py: importing an app's bulk.py registers its resources.
        autodiscover_modules("bulk")
