"""`bulkql schema`: the SDL of a service, or of the apps in BULKQL_APPS."""

from __future__ import annotations

from bulkql.server.commands.connection import Service, connected, told


def sdl_of_service(service: Service) -> str:
    """The SDL that a running service tells: with what its project merges, and under its registrations."""
    from graphql import build_client_schema, get_introspection_query, print_schema

    client = connected(service)
    with told(client):
        introspection = client.execute(get_introspection_query(input_value_deprecation=True))
    return print_schema(build_client_schema(introspection))  # type: ignore[arg-type]  # a TypedDict of graphql-core's
