"""The places' bulk resources."""

import bulkql

from .models import City, Country


@bulkql.register(Country)
class Countries(bulkql.BulkResource):
    fields = ("iso", "iso3", "name", "continent", "capital", "population", "area_km2")
    match_fields = ("iso",)


@bulkql.register(City)
class Cities(bulkql.BulkResource):
    fields = ("geoname_id", "name", "country", "latitude", "longitude", "population", "timezone")
    match_fields = ("geoname_id",)
