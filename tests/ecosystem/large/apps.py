"""Models of a shop and of a CMS as they come, and a snippet of a project's own."""

from django.apps import AppConfig


class LargeConfig(AppConfig):
    name = "tests.ecosystem.large"
    label = "large"
    default_auto_field = "django.db.models.BigAutoField"
