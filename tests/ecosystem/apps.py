"""A model of each package that has a word when rows are saved."""

from django.apps import AppConfig


class EcosystemConfig(AppConfig):
    name = "tests.ecosystem"
    label = "ecosystem"
    default_auto_field = "django.db.models.BigAutoField"
