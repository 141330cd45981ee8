"""What dramatiq loads: Django, then the actors."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
django.setup()

from workers.actors import broker, read_input, write_chunk  # noqa: E402

__all__ = ["broker", "read_input", "write_chunk"]
