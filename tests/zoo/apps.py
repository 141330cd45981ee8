"""Models of every kind of field, for the tests."""

from django.apps import AppConfig
from django.db.models.signals import pre_migrate

from .anycase import create


class ZooConfig(AppConfig):
    name = "tests.zoo"
    label = "zoo"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        pre_migrate.connect(create, sender=self)
