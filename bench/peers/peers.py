"""All peers, and the packages that each needs."""

from __future__ import annotations

from bench.npm import npm_environment
from bench.peers.peer import Peer, graphql, in_process, queued, rest
from bench.peers.postgraphile import postgraphile

DJANGO = ("django==5.2.19", "dj-database-url==3.1.2", "psycopg[binary]==3.3.9")
HTTP = ("gunicorn==27.0.1", "djangorestframework==3.18.3")
CELERY = ("celery[redis]==5.7.0", "django-redis==7.0.0")

PEERS = (
    Peer(
        name="plain_django",
        title="Django bulk_create, in-process, no validation",
        packages=DJANGO,
        start=in_process,
    ),
    Peer(
        name="bulk_drf",
        title="django-bulk-drf 0.2.91, synchronous",
        packages=(*DJANGO, *HTTP, "django-bulk-drf==0.2.91"),
        start=rest,
    ),
    Peer(
        name="import_export",
        title="django-import-export 4.4.3, use_bulk, in-process",
        packages=(*DJANGO, "django-import-export==4.4.3"),
        start=in_process,
    ),
    Peer(
        name="strawberry_by_hand",
        title="Strawberry by hand, full_clean and save",
        packages=(*DJANGO, "gunicorn==27.0.1", "strawberry-graphql==0.341.2"),
        start=graphql,
    ),
    Peer(
        name="bulk_drf_celery",
        title="django-bulk-drf 0.1.16, on Celery",
        packages=(*DJANGO, *HTTP, *CELERY, "django-bulk-drf==0.1.16"),
        start=queued,
    ),
    Peer(
        name="drf_extensions",
        title="django-drf-extensions 0.1.68, on Celery",
        packages=(*DJANGO, *HTTP, *CELERY, "django-drf-extensions==0.1.68"),
        start=queued,
    ),
    Peer(
        name="postgraphile",
        title="PostGraphile 4.14.1, SQL by hand, no validation",
        packages=("postgraphile@4.14.1", "pg@8.23.1", "graphql@15.11.0"),
        start=postgraphile,
        install=npm_environment,
    ),
)
