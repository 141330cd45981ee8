"""Countries and cities: the demo's example."""

from django.apps import AppConfig


class PlacesConfig(AppConfig):
    name = "examples.places"
    label = "places"
    default_auto_field = "django.db.models.BigAutoField"
