"""Countries and cities: the demo's example."""

from django.apps import AppConfig


class PlacesConfig(AppConfig):
    #: bulkql.examples.places, or wherever else this folder lies.
    name = __name__.rpartition(".")[0]
    label = "places"
    default_auto_field = "django.db.models.BigAutoField"
