"""Our settings, with the apps of the packages whose models are tested."""

from bulkql.server.settings import *  # noqa: F403
from bulkql.server.settings import INSTALLED_APPS as OURS

INSTALLED_APPS = [
    "modeltranslation",
    *OURS,
    "auditlog",
    "django_countries",
    "guardian",
    "mptt",
    "parler",
    "phonenumber_field",
    "polymorphic",
    "safedelete",
    "simple_history",
    "taggit",
    "treebeard",
    "tests.ecosystem.apps.EcosystemConfig",
]
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
PHONENUMBER_DEFAULT_REGION = "DE"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "guardian.backends.ObjectPermissionBackend"]
SILENCED_SYSTEM_CHECKS = ["bulkql.I075", "fields.W342"]
# The superuser of each test has a password, which need not be safe.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
