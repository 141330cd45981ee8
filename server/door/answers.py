"""What a client accepts -> the media type and the status of GraphQL's answers.

https://graphql.github.io/graphql-over-http/draft/: who accepts application/graphql-response+json is told by the status
whether anything was executed; with application/json it is 200 for every request that is well formed.
"""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
#: Characters of an Accept header that are worth reading.
ACCEPT_CHARACTERS = 1_000


def media_type(request: HttpRequest) -> str:
    """GraphQL's own type for those who name it and do not prefer the other, JSON for everybody else."""
    accept = request.headers.get("Accept", "")
    if GRAPHQL not in accept or len(accept) > ACCEPT_CHARACTERS:
        return JSON
    return request.get_preferred_type([GRAPHQL, JSON]) or JSON


def finished(request: HttpRequest, response: HttpResponse, is_refused: bool) -> HttpResponse:
    """The answer in the type that the client wants; `is_refused` where nothing was executed."""
    kind = media_type(request)
    response["Content-Type"] = f"{kind}; charset=utf-8"
    if is_refused and kind == GRAPHQL and response.status_code == HTTPStatus.OK:
        response.status_code = HTTPStatus.BAD_REQUEST
    if request.method == "GET":
        # What a user asked for is nobody else's, wherever it passes by.
        response["Cache-Control"] = "private, no-store"
    return response
