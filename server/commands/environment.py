"""The environment -> Django, ready for a command; and what is said where the environment is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import SystemCheckError
from django.db.utils import OperationalError, ProgrammingError
from environs import EnvError

from bulkql.server import stack
from bulkql.server.commands.connection import OF_FILES, forsake

HOW_TO_SET_IT = (
    "SECRET_KEY is not set; it signs sessions and tokens. Set it to that of your service, which for a new one is any "
    "long random text. For a service that `bulkql up` runs, `bulkql token` and `bulkql sign-in` take its --data."
)


def set_up(data: Path | None) -> None:
    """Django, for the service in a data directory or for the environment's; exits where that lacks a secret."""
    from django.conf import settings

    load(data)
    try:
        settings.SECRET_KEY  # noqa: B018  (an empty one raises)
    except ImproperlyConfigured:
        raise SystemExit(HOW_TO_SET_IT) from None


def load(data: Path | None) -> None:
    """The same, with a secret or without."""
    if data is not None:
        os.environ.update(stack.state_of(data))
    os.environ["DJANGO_SETTINGS_MODULE"] = stack.settings_module()
    # As `python -m` does for the service's processes: an app may lie where the command is run.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    import django

    django.setup()


@contextmanager
def told_plainly() -> Iterator[None]:
    """What is wrong with the environment, the settings or the database, and exit status 1; no traceback."""
    try:
        yield
    except (ImproperlyConfigured, EnvError, SystemCheckError) as error:
        raise SystemExit(str(error)) from None
    except ModuleNotFoundError as error:
        if (variable := variable_with(error.name)) is None:
            raise
        raise SystemExit(f"{variable} names {error.name!r}, which cannot be imported from {Path.cwd()}.") from None
    except OSError as error:
        if error.errno not in OF_FILES or error.filename is not None:
            raise
        forsake(sys.stdout)
        raise SystemExit(f"The output cannot be written: {error.strerror}.") from None
    except (OperationalError, ProgrammingError) as error:
        # A database without bulkql's tables is one of these too.
        line = str(error).partition("\n")[0]
        raise SystemExit(f"The database answered: {line}. `bulkql doctor` says what to do.") from None


def variable_with(module: str | None) -> str | None:
    """The variable of the environment that names a module."""
    settings, apps = stack.settings_module(), os.environ.get("BULKQL_APPS", "").split(",")
    if module is None:
        return None
    if settings == module or settings.startswith(f"{module}."):
        return "DJANGO_SETTINGS_MODULE"
    is_app = any(app == module or app.startswith(f"{module}.") for app in apps)
    return "BULKQL_APPS" if is_app else None
