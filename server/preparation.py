"""System checks, migrations, tables and the superuser admin: what is done before anything is served.

`bulkql up` runs it.
"""

from __future__ import annotations

import secrets
from typing import Any

ADMIN = "admin"


class AdminNotCreated(Exception):
    """The project's user model asks for more than a name."""


def prepare() -> None:
    """Bring the tables up to date and create the superuser.

    Raises SystemCheckError before anything is changed; exits where a table is missing all the same.
    """
    from django.core.management import call_command

    from bulkql.workers.resources.tables import lacking_tables

    call_command("check", databases=["default"])
    call_command("migrate", verbosity=0)
    if lacks := lacking_tables():
        raise SystemExit("\n".join(lacks))
    try:
        admin()
    except AdminNotCreated:
        # The service can run without it: `bulkql up` says what to do.
        return


def admin() -> Any:
    """The superuser admin; its password is random, for it signs in by link. Raises AdminNotCreated."""
    from django.contrib.auth import get_user_model

    from bulkql.workers.resources.checks import owes_a_value

    model: Any = get_user_model()
    users = model._default_manager
    if (found := users.filter(**{model.USERNAME_FIELD: ADMIN}).first()) is not None:
        return found
    owed = [name for name in model.REQUIRED_FIELDS if owes_a_value(model._meta.get_field(name))]
    if owed:
        raise AdminNotCreated(
            f"{model._meta.label} requires {', '.join(owed)}, so the superuser {ADMIN} is not created; "
            "create one with `python manage.py createsuperuser`, and print its token with `bulkql token NAME`."
        )
    return users.create_superuser(**{model.USERNAME_FIELD: ADMIN}, password=secrets.token_urlsafe(32))


if __name__ == "__main__":
    # The settings are those that the environment names, as it does where `bulkql up` runs this.
    import django

    from bulkql.server.commands.environment import told_plainly

    with told_plainly():
        django.setup()
        prepare()
