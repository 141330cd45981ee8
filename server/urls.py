"""Where everything is."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from sesame.views import LoginView

from bulkql.server import health
from bulkql.server.auth import SIGN_IN_SCOPE, SIGN_IN_SECONDS

handler500 = health.failed

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="bulkql:graphiql")),
    path("", include("bulkql.urls")),
    path("sign-in", LoginView.as_view(scope=SIGN_IN_SCOPE, max_age=SIGN_IN_SECONDS)),
    path("admin/", admin.site.urls),
    path("healthz", health.live),
    path("readyz", health.ready),
]
