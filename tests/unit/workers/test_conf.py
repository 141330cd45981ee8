"""Limits are read once, and again where a project's test overrides a setting."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from django.test import override_settings

from bulkql.workers.conf import Limits, limits

ROOT = Path(__file__).parents[3]


def test_an_overridden_setting_is_in_force_as_long_as_it_is_overridden():
    before = limits().chunk_size

    with override_settings(BULKQL_CHUNK_SIZE=before + 1):
        assert limits().chunk_size == before + 1

    assert limits().chunk_size == before


def test_each_limit_that_a_message_names_is_read_from_the_environment():
    named = set(re.findall(r'"([A-Z_]+)"', (ROOT / "server/settings.py").read_text()))

    assert {field.name.upper() for field in fields(Limits) if field.type == "int"} - named == set()
