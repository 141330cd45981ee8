"""Django's settings of every peer: the ledger of this repository, the database and the Redis of the run."""

import os
from urllib.parse import urlsplit, urlunsplit

import dj_database_url

PEER = os.environ["PEER"]
SECRET_KEY = "a benchmark's"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"
DATA_UPLOAD_MAX_MEMORY_SIZE = None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=None)}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "examples.ledger"]
ROOT_URLCONF = f"bench.peers.served.{PEER}"
LOGGING = {"version": 1, "root": {"level": "ERROR"}}


def redis_database(number: int) -> str:
    """Its own place in the run's Redis."""
    return urlunsplit(urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}"))


if PEER in ("bulk_drf_celery", "bulk_drf", "drf_extensions"):
    INSTALLED_APPS += ["rest_framework"]
    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    }
if PEER == "bulk_drf":
    # Its limit of 10,000 rows a request, lifted; all else by default.
    BULK_DRF = {"MAX_BATCH_SIZE": 1_000_000}
if PEER in ("bulk_drf_celery", "drf_extensions"):
    CELERY_BROKER_URL = CELERY_RESULT_BACKEND = redis_database(8)
    CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_database(9)}}
    BULK_DRF_MAX_RECORDS = DRF_EXT_MAX_RECORDS = 1_000_000
if PEER == "import_export":
    INSTALLED_APPS += ["import_export"]
