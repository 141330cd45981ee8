"""bulkql in a project: path("any/prefix/", include("bulkql.urls"))."""

from __future__ import annotations

from django.urls import path

from bulkql.server import downloads
from bulkql.server.graphiql.page import GraphiQLView
from bulkql.server.graphql import GraphQLView
from bulkql.server.metrics import metrics
from bulkql.server.traffic.connections import commits_itself
from bulkql.server.uploads import views as uploads

app_name = "bulkql"

urlpatterns = [
    path("graphql", commits_itself(GraphQLView.as_view()), name="graphql"),
    path("graphiql", GraphiQLView.as_view(), name="graphiql"),
    path("metrics", commits_itself(metrics), name="metrics"),
    path("uploads", commits_itself(uploads.create), name="uploads"),
    path("uploads/<uuid:upload_id>", commits_itself(uploads.receive), name="upload"),
    path("files/templates/<str:signature>/<str:name>", commits_itself(downloads.send_template), name="template"),
    path("files/<uuid:operation_id>/<str:signature>/<str:name>", commits_itself(downloads.send), name="file"),
]
