"""Where everything is."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from bulkql.server import health
from bulkql.server.authority import links

handler500 = health.failed

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="bulkql:graphiql")),
    path("", include("bulkql.urls")),
    path("sign-in", links.sign_in),
    path("admin/", admin.site.urls),
    path("healthz", health.live),
    path("readyz", health.ready),
]
