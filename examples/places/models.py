"""Countries, keyed by their ISO code, and the cities in them."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class Country(models.Model):
    """A country, as ISO 3166-1 counts them."""

    class Continent(models.TextChoices):
        AFRICA = "AF", "Africa"
        ANTARCTICA = "AN", "Antarctica"
        ASIA = "AS", "Asia"
        EUROPE = "EU", "Europe"
        NORTH_AMERICA = "NA", "North America"
        OCEANIA = "OC", "Oceania"
        SOUTH_AMERICA = "SA", "South America"

    iso = models.CharField(max_length=2, primary_key=True, help_text="ISO 3166-1 alpha-2.")
    iso3 = models.CharField(max_length=3, unique=True, help_text="ISO 3166-1 alpha-3.")
    name = models.CharField(max_length=80)
    continent = models.CharField(max_length=2, choices=Continent)
    capital = models.CharField(max_length=80, blank=True, default="")
    population = models.BigIntegerField(default=0, validators=[MinValueValidator(0)])
    area_km2 = models.FloatField(default=0, validators=[MinValueValidator(0)], help_text="In square kilometres.")

    class Meta:
        verbose_name_plural = "countries"

    def __str__(self) -> str:
        return self.name


class City(models.Model):
    """A place of more than 500 people."""

    geoname_id = models.IntegerField(unique=True, help_text="The id of the place at geonames.org.")
    name = models.CharField(max_length=200)
    country = models.ForeignKey(Country, on_delete=models.CASCADE)
    latitude = models.FloatField(validators=[MinValueValidator(-90), MaxValueValidator(90)])
    longitude = models.FloatField(validators=[MinValueValidator(-180), MaxValueValidator(180)])
    population = models.IntegerField(default=0)
    timezone = models.CharField(max_length=40)

    class Meta:
        verbose_name_plural = "cities"
        constraints = [
            models.CheckConstraint(condition=models.Q(population__gte=0), name="no_negative_population"),
        ]

    def __str__(self) -> str:
        return self.name
