"""A connection's path -> which of our URLs it asks for."""

from __future__ import annotations

from typing import Any

from django.core.handlers.asgi import get_script_prefix
from django.urls import Resolver404, ResolverMatch, resolve


def match_of(scope: Any) -> ResolverMatch | None:
    """The URL of ours, under whatever prefix of the project's; None for another application's or nobody's.

    Servers, and proxies before them, put the prefix under which the whole project is served (FORCE_SCRIPT_NAME, or
    ASGI's root_path) before the path or leave it out: Django takes both for the same, and so do we.
    """
    try:
        match = resolve(scope["path"].removeprefix(get_script_prefix(scope)))
    except Resolver404:
        return None
    return match if match.app_names[-1:] == ["bulkql"] else None
