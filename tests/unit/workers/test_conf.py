"""Limits are read once, and again where a project's test overrides a setting."""

from __future__ import annotations

from django.test import override_settings

from bulkql.workers.conf import limits


def test_an_overridden_setting_is_in_force_as_long_as_it_is_overridden():
    before = limits().chunk_size

    with override_settings(BULKQL_CHUNK_SIZE=before + 1):
        assert limits().chunk_size == before + 1

    assert limits().chunk_size == before
