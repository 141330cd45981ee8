"""Where everything is."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView
from sesame.views import LoginView

from bulkql.server import downloads, health, uploads
from bulkql.server.auth import SIGN_IN_SCOPE, SIGN_IN_SECONDS
from bulkql.server.graphiql import GraphiQLView
from bulkql.server.graphql import GraphQLView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="graphiql")),
    path("graphql", GraphQLView.as_view()),
    path("graphiql", GraphiQLView.as_view(), name="graphiql"),
    path("sign-in", LoginView.as_view(scope=SIGN_IN_SCOPE, max_age=SIGN_IN_SECONDS)),
    path("uploads/<uuid:upload_id>", uploads.receive),
    path("files/<uuid:operation_id>/<str:signature>/<str:name>", downloads.send),
    path("admin/", admin.site.urls),
    path("healthz", health.live),
    path("readyz", health.ready),
]
