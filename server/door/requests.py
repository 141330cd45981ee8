"""HTTP requests -> what is to be executed, or BAD_INPUT that names the place.

https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters and, for files,
https://github.com/jaydenseric/graphql-multipart-request-spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.utils.datastructures import MultiValueDict
from strawberry.http import GraphQLRequestData

from bulkql.workers.errors import BadInput, PersistedQueryNotSupported

#: What JSON calls the types of Python.
NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


def request_data(body: object) -> GraphQLRequestData:
    """The parameters of a request; raises BadInput, PersistedQueryNotSupported."""
    if not isinstance(body, dict):
        hint = " Send one request at a time." if isinstance(body, list) else ""
        raise BadInput(f"The body is {name_of(body)}; a JSON object with `query` is expected.{hint}")
    query = body.get("query")
    if query is None and isinstance(extensions := body.get("extensions"), dict) and "persistedQuery" in extensions:
        raise PersistedQueryNotSupported("PersistedQueryNotSupported")
    if not isinstance(query, str) or not query.strip():
        given = "missing" if query is None else "empty" if isinstance(query, str) else name_of(query)
        raise BadInput(f"`query` is {given}; the text of a GraphQL document is expected.")
    for name, kind in (("variables", dict), ("extensions", dict), ("operationName", str)):
        if not isinstance(body.get(name), kind | None):
            raise BadInput(f"`{name}` is {name_of(body[name])}; {NAMES[kind]} or null is expected.")
    # An empty name is what forms of GraphiQL send for none.
    return GraphQLRequestData(query, body.get("variables"), body.get("operationName") or None, body.get("extensions"))


def each_once(parameters: MultiValueDict[str, Any]) -> dict[str, Any]:
    """The parameters of a URL or a form. Django gives the last of those of one name; raises BadInput for those."""
    for name, values in parameters.lists():
        if len(values) > 1:
            raise BadInput(f"The request has {name[:100]!r} {len(values)} times; leave all but one out.")
    return parameters.dict()


def name_of(value: object) -> str:
    """What JSON calls a value's type."""
    return NAMES.get(type(value), "a number")


def with_files(operations: object, places: object, files: Mapping[str, Any]) -> object:
    """The body of a multipart request: its files in the places that the map names; raises BadInput."""
    if not isinstance(places, dict):
        raise BadInput(f"`map` is {name_of(places)}; an object of lists of paths is expected.")
    for name, paths in places.items():
        if name not in files:
            raise BadInput(f"`map` names the file {name!r}, which is not in the request.")
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise BadInput(f"`map.{name}` is no list of paths such as variables.input.accounts.file.upload.")
        for path in paths:
            put(operations, path, files[name])
    return operations


def put(operations: object, path: str, file: object) -> None:
    """A file in the place of a null; raises BadInput."""
    *keys, last = path.split(".")
    holder = operations
    for key in keys:
        holder = item_of(holder, key, path)
    if item_of(holder, last, path) is not None:
        raise BadInput(f"`map` puts a file at {path}, where `operations` has no null to take its place.")
    cast(Any, holder)[int(last) if isinstance(holder, list) else last] = file


def item_of(holder: object, key: str, path: str) -> object:
    """What is under a key or an index; raises BadInput."""
    if isinstance(holder, dict) and key in holder:
        return holder[key]
    if isinstance(holder, list) and key.isascii() and key.isdigit() and len(key) < 10 and int(key) < len(holder):
        return holder[int(key)]
    raise BadInput(f"`map` puts a file at {path}, which is not in `operations`.")
