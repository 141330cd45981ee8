"""GraphiQL, from our own static files: it works with every other network cut off."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.staticfiles import finders
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.generic import TemplateView

from bulkql.server.graphiql.tabs import default_tabs

#: What `make setup` builds with npm. What is ours stands in static/bulkql/.
ASSETS = (
    "graphiql/react.production.min.js",
    "graphiql/react-dom.production.min.js",
    "graphiql/graphiql.min.js",
    "graphiql/graphiql.min.css",
    "graphiql/explorer.umd.js",
    "graphiql/explorer.css",
)


@method_decorator(ensure_csrf_cookie, name="dispatch")
class GraphiQLView(LoginRequiredMixin, TemplateView):
    """GET /graphiql, with the signed-in user's session."""

    template_name = "graphql/graphiql.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        missing = [asset for asset in ASSETS if finders.find(asset) is None]
        return {**super().get_context_data(**kwargs), "missing": missing, "tabs": default_tabs()}
