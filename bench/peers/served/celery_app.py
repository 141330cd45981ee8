"""The Celery application of the peers that have one."""

import os

import celery

#: Where each peer keeps its tasks.
TASKS = {
    "bulk_drf_celery": "django_bulk_drf.bulk_processing",
    "drf_extensions": "django_drf_extensions.processing",
}

app = celery.Celery("peers")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks([TASKS[os.environ["PEER"]]], related_name=None)
