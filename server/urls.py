"""Where everything is."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from bulkql.server import health
from bulkql.server.authority import links
from bulkql.server.door import refusals
from bulkql.server.traffic.connections import commits_itself

handler400, handler403 = refusals.bad_request, refusals.forbidden
handler404, handler500 = refusals.not_found, refusals.failed

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="bulkql:graphiql")),
    path("", include("bulkql.urls")),
    path("sign-in", links.sign_in),
    path("admin/", admin.site.urls),
    path("healthz", commits_itself(health.live)),
    path("readyz", commits_itself(health.ready)),
]
