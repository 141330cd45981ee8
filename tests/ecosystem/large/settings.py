"""Our settings, with oscar and wagtail in them.

Apart from the other packages' settings: wagtail listens to the saves of all models, so that none of them is copied.
"""

from oscar import INSTALLED_APPS as OSCAR
from oscar.defaults import *  # noqa: F403

from bulkql.server.settings import *  # noqa: F403
from bulkql.server.settings import INSTALLED_APPS as OURS

INSTALLED_APPS = [
    *OURS,
    *(one for one in OSCAR if one not in OURS),
    "wagtail",
    "wagtail.admin",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.snippets",
    "wagtail.users",
    "modelcluster",
    "sorl.thumbnail",
    "taggit",
    "tests.ecosystem.large.apps.LargeConfig",
]
SITE_ID = 1
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
WAGTAIL_SITE_NAME = "Tests"
WAGTAILADMIN_BASE_URL = "http://localhost"
SILENCED_SYSTEM_CHECKS = ["bulkql.I075"]
