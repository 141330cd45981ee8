"""Where everything is."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView
from sesame.views import LoginView

from schema.schema import schema
from server import health, uploads
from server.auth import SIGN_IN_SCOPE, SIGN_IN_SECONDS
from server.graphiql import GraphiQLView
from server.graphql import GraphQLView

graphql = GraphQLView.as_view(
    schema=schema(), graphql_ide=None, multipart_uploads_enabled=True, allow_queries_via_get=False
)

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="graphiql")),
    path("graphql", graphql),
    path("graphiql", GraphiQLView.as_view(), name="graphiql"),
    path("sign-in", LoginView.as_view(scope=SIGN_IN_SCOPE, max_age=SIGN_IN_SECONDS)),
    path("uploads/<uuid:upload_id>", uploads.receive),
    path("admin/", admin.site.urls),
    path("healthz", health.live),
    path("readyz", health.ready),
]
