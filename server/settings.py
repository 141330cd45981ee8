"""Django's settings. The environment is read here and nowhere else."""

from __future__ import annotations

import logging
from datetime import timedelta
from http import HTTPStatus
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import dj_database_url
from corsheaders.defaults import default_headers
from csp.constants import NONCE, NONE, SELF, UNSAFE_INLINE
from environs import Env
from psycopg_pool import ConnectionPool

env = Env()

#: Where the database is; PostgreSQL, or any other that Django speaks.
DATABASE_URL = env.str("DATABASE_URL", "postgres://postgres@localhost:5432/bulkql")
#: Where Redis is: the channel layer in this database, the queue in the one beside it.
REDIS_URL = env.str("REDIS_URL", "redis://localhost:6379/0")
#: Where the queue is, if not there: a Redis that has but one database is named twice.
BULKQL_QUEUE_URL = env.str("BULKQL_QUEUE_URL", "")
#: Signs sessions and tokens.
SECRET_KEY = env.str("SECRET_KEY", "")
#: The Django apps whose bulk.py are served.
BULKQL_APPS = env.list("BULKQL_APPS", ["bulkql.examples.ledger", "bulkql.examples.places"])

#: Development's conveniences: an insecure secret, tracebacks in answers.
DEBUG = env.bool("BULKQL_DEBUG", False)
#: Host names under which the service is reached.
ALLOWED_HOSTS = env.list("BULKQL_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
#: Origins with scheme that may send forms: https://bulk.example.org
CSRF_TRUSTED_ORIGINS: list[str] = env.list("BULKQL_TRUSTED_ORIGINS", [])

#: Where docs/errors.md is published: errors link to its sections.
BULKQL_DOCUMENTATION_URL = env.str("BULKQL_DOCUMENTATION_URL", "")

#: Each limit of workers/conf.py, from the environment's variable of the same name.
for _name in (
    "INLINE_ROWS",
    "SYNC_ROWS",
    "CHUNK_SIZE",
    "MAX_CHUNK_SIZE",
    "CHUNK_BYTES",
    "CELL_BYTES",
    "RECORD_BYTES",
    "FILE_COLUMNS",
    "JSON_DEPTH",
    "UNKNOWN_FIELDS",
    "ERROR_CHARACTERS",
    "COMPRESSION_EXPANSION",
    "PARQUET_EXPANSION",
    "PARQUET_MEMORY_BYTES",
    "WORKBOOK_MEMORY_BYTES",
    "WINDOW",
    "MAX_ROWS_PER_SECOND",
    "BRAKE_LAG_SECONDS",
    "BRAKE_LOCK_WAITS",
    "BRAKE_ACTIVE_BACKENDS",
    "WEBHOOK_SECONDS",
    "LEASE_SECONDS",
    "CHUNK_SECONDS",
    "RESCUE_SECONDS",
    "REDISPATCH_SECONDS",
    "MAX_ATTEMPTS",
    "MAX_OUTAGES",
    "STATEMENT_SECONDS",
    "LOCK_SECONDS",
    "LOCK_WAIT_SECONDS",
    "DRAIN_SECONDS",
    "REQUEST_BYTES",
    "MULTIPART_BYTES",
    "UPLOAD_BYTES",
    "FORM_BYTES",
    "UPLOAD_SECONDS",
    "FILE_SECONDS",
    "RETENTION_DAYS",
    "PLAN_DAYS",
    "QUERY_TOKENS",
    "QUERY_ALIASES",
    "QUERY_DEPTH",
    "QUERY_FIELDS",
    "HANDSHAKE_SECONDS",
    "PAGE_ROWS",
    "DEFAULT_PAGE_ROWS",
    "ANSWER_ROWS",
    "LIST_SECONDS",
    "STALL_SECONDS",
    "USER_REQUESTS",
    "USER_REQUESTS_WAITING",
    "USER_DOWNLOADS",
    "USER_SUBSCRIPTIONS",
    "USER_FRAME_BYTES",
    "USER_STORED_BYTES",
    "USER_UPLOADS_WAITING",
    "USER_OPERATIONS_WAITING",
    "USER_ROWS_A_DAY",
    "DRY_RUN_CHANGES",
    "EVENTS_PER_SECOND",
    "AUTHORITY_SECONDS",
    "TOKEN_DAYS",
    "SIGN_IN_SECONDS",
    "REREAD_SECONDS",
    "IMAGE_ROWS",
):
    globals()[f"BULKQL_{_name}"] = env.int(f"BULKQL_{_name}", None)

#: Whether operations can be reverted, unless a resource says otherwise: what it costs is in docs/revert.md.
BULKQL_KEEPS_IMAGES = env.bool("BULKQL_KEEPS_IMAGES", True)

BASE_DIR = Path(__file__).resolve().parent

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "corsheaders",
    "csp",
    "bulkql",
    *BULKQL_APPS,
]

# Django's own names, which its checks look for. server/middleware.py puts faster ones in their place when it serves.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "bulkql.server.auth.BearerMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "bulkql.server.urls"
ASGI_APPLICATION = "bulkql.server.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "web" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_health_checks=True)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # Under ASGI each request has a thread of its own. Without a pool it would have a connection of its own too: four
    # milliseconds, and a backend that knows no table yet. server/postgresql looks whether what the pool gives is alive.
    DATABASES["default"] |= {"ENGINE": "bulkql.server.postgresql", "CONN_HEALTH_CHECKS": False}
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": env.int("BULKQL_POOL_CONNECTIONS", 40),
        # Nobody waits longer than a client would.
        "timeout": env.int("BULKQL_POOL_SECONDS", 10),
        # Attempts to reach a database that is away lie ever further apart, and minutes in the end: so they begin anew.
        "reconnect_timeout": 2,
        "reconnect_failed": ConnectionPool.check,
    }
    # A network that swallows what is sent would else hold a worker for as long as TCP hopes: up to two hours.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        **DATABASES["default"]["OPTIONS"],
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["CONN_MAX_AGE"] = None
    # One writer at a time: without these, two out of three transactions find the database locked.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    # PyMySQL, which needs no compiler, where mysqlclient is not installed.
    if find_spec("MySQLdb") is None and find_spec("pymysql") is not None:
        import_module("pymysql").install_as_MySQLdb()
    # In strict mode a text that is too long is refused, and not cut.
    DATABASES["default"]["OPTIONS"] = {
        "charset": "utf8mb4",
        "init_command": "SET SESSION sql_mode = 'TRADITIONAL'",
        **DATABASES["default"].get("OPTIONS", {}),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "asgi"},
    }
}

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    # Uploads. In the database, every host can read them; an object store does as well.
    "bulkql": {"BACKEND": env.str("BULKQL_STORAGE", "bulkql.workers.uploads.storage.DatabaseStorage")},
}

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "web" / "static"]
SERVESTATIC_USE_FINDERS = True

AUTHENTICATION_BACKENDS = [
    "bulkql.server.authority.throttle.ThrottleBackend",
    "django.contrib.auth.backends.ModelBackend",
]
SESAME_TOKENS = ["sesame.tokens_v2"]
# After five wrong passwords for a name from one address, none is looked at for a quarter of an hour. By both: else
# anybody could lock others out, or a proxy's address everybody.
AXES_HANDLER = "bulkql.server.authority.throttle.FailureCounter"
AXES_LOCKOUT_CALLABLE = "bulkql.server.authority.throttle.locked_out"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
# Who tries on while the time runs does not prolong it.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# What is not needed to count is not kept: who signed in when.
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
#: Tokens and sessions are all the credentials there are: who has neither is refused before a body is read.
BULKQL_SIGN_IN_FIRST = True
CSRF_FAILURE_VIEW = "bulkql.server.auth.csrf_failure"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/graphiql"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
#: Behind TLS: other requests are sent there, browsers remember it, and cookies travel over nothing else.
BULKQL_HTTPS = env.bool("BULKQL_HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = BULKQL_HTTPS
#: Seconds for which a browser comes over TLS only.
SECURE_HSTS_SECONDS = env.int("BULKQL_HSTS_SECONDS", 365 * 24 * 60 * 60 if BULKQL_HTTPS else 0)
# Orchestrators ask from inside.
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$"]
# W005 and W021 ask for the domain's other hosts, which are not ours to promise anything for.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
if BULKQL_HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

#: Origins of frontends elsewhere, with scheme: https://app.example.org. They send bearer tokens; cookies stay here.
BULKQL_ORIGINS: list[str] = env.list("BULKQL_ORIGINS", [])
CORS_ALLOWED_ORIGINS = BULKQL_ORIGINS
#: What tus sends and reads, beside the usual.
TUS = ("Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Defer-Length", "Upload-Expires")
CORS_ALLOW_HEADERS = [
    *(*default_headers, *TUS, "Upload-Metadata", "Upload-Checksum", "X-HTTP-Method-Override"),
    # A download that broke off goes on where it was.
    *("Range", "If-Range", "If-Match", "If-None-Match"),
]
CORS_EXPOSE_HEADERS = [
    *("Content-Disposition", "Location", "Accept-Ranges", "Content-Range", "ETag", "Retry-After", *TUS),
    *("Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm", "Upload-Metadata"),
]

#: Hosts that webhooks may tell of an operation's end, with a port where it is not the usual one; none by default.
BULKQL_WEBHOOK_HOSTS: list[str] = env.list("BULKQL_WEBHOOK_HOSTS", [])
#: Signs them: whsec_ and base64, as Standard Webhooks have it; while one is replaced two, separated by a blank.
BULKQL_WEBHOOK_SECRET = env.str("BULKQL_WEBHOOK_SECRET", "")
#: Where operations are told that name no URL, nor does their resource.
BULKQL_WEBHOOK_URL = env.str("BULKQL_WEBHOOK_URL", "")
#: Whether http will do, and addresses of private networks; for networks of one's own.
BULKQL_WEBHOOK_HTTP = env.bool("BULKQL_WEBHOOK_HTTP", False)
BULKQL_WEBHOOK_PRIVATE = env.bool("BULKQL_WEBHOOK_PRIVATE", False)

#: What our pages may load: what comes from here, and inline scripts that carry the request's nonce.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        # GraphiQL and its editor set styles as they go.
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# Of a multipart request, what is no file: it is read into memory, as a body of JSON is, and no more of it may come.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("BULKQL_REQUEST_BYTES", 32 * 1024 * 1024)

USE_TZ = True
TIME_ZONE = env.str("BULKQL_TIME_ZONE", "UTC")
LANGUAGE_CODE = "en-us"


def without_traceback(record: logging.LogRecord) -> bool:
    """A client's mistake is a line of the log, and no fault of ours: its answer says what is wrong."""
    if getattr(record, "status_code", HTTPStatus.INTERNAL_SERVER_ERROR) < HTTPStatus.INTERNAL_SERVER_ERROR:
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"clients_mistakes": {"()": "django.utils.log.CallbackFilter", "callback": without_traceback}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        # Junk tokens are failures too, and come without a request: it would cry at each of them.
        "axes.handlers.proxy": {"level": "CRITICAL"},
        "bulkql": {"handlers": ["console"], "level": env.str("BULKQL_LOG_LEVEL", "INFO")},
        "django": {"handlers": ["console"], "level": "WARNING"},
        "dramatiq": {"level": "WARNING"},
        "django.request": {"filters": ["clients_mistakes"]},
        "django.security.DisallowedHost": {"filters": ["clients_mistakes"]},
    },
}
