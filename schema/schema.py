"""Registered resources -> the GraphQL schema."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from functools import cache, partial
from typing import Any, cast

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxTokensLimiter
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StreamResult
from strawberry.types.execution import ExecutionContext
from strawberry.types.graphql import OperationType
from strawberry_django.optimizer import DjangoOptimizerExtension

from bulkql.schema import descriptions, failures, sharing
from bulkql.schema.checks.texts import Texts
from bulkql.schema.documents.known import KnownDocuments, NamedOperation
from bulkql.schema.documents.limits import DocumentLimits
from bulkql.schema.limits.pages import PageLimits
from bulkql.schema.limits.shares import SUBSCRIPTIONS
from bulkql.schema.mutations import mutation_type
from bulkql.schema.queries import query_type
from bulkql.schema.rows import RowLane
from bulkql.schema.scalars import BIG_INT, BigInt
from bulkql.schema.subscriptions import Subscription
from bulkql.workers.conf import limits
from bulkql.workers.resources.registry import registered


class Schema(strawberry.Schema):
    """Strawberry's schema, but that rows take their own lane, subscriptions are shared, and logs hold no row contents.

    It takes strawberry.Schema's arguments; a project's own extensions come before ours.
    """

    def __init__(
        self,
        query: type,
        mutation: type | None = None,
        subscription: type | None = None,
        *,
        extensions: Iterable[Any] = (),
        config: Any = None,
        **options: Any,
    ) -> None:
        config = config or StrawberryConfig()
        config.scalar_map = {**SCALARS, **config.scalar_map}
        super().__init__(query, mutation, subscription, extensions=[*extensions, *EXTENSIONS], config=config, **options)
        descriptions.complete(self._schema)

    # Strawberry's signature, by which its websocket handler calls it.
    async def stream(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
    ) -> StreamResult:
        """The results of a websocket's operation; those who watch the same share them."""
        start = partial(
            super().stream,
            query,
            variable_values,
            context_value,
            root_value,
            operation_name,
            operation_extensions,
            allowed_operation_types,
        )
        key = sharing.key_of(query, variable_values, context_value, operation_name)
        results = await start() if key is None else sharing.shared(key, start)
        user = getattr(context_value, "user", None)
        return results if user is None or not user.is_authenticated else counted(results, user.pk)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        failures.log(errors)
        failures.name_allowed(errors, self._schema.type_map)


async def counted(results: StreamResult, user_id: Any) -> AsyncGenerator[Any, None]:
    """The same results, while they are among the subscriptions that a user may have."""
    async with aclosing(cast("AsyncGenerator[Any, None]", results)) as stream:
        with SUBSCRIPTIONS.taken(user_id):
            async for result in stream:
                yield result


@cache
def schema() -> Schema:
    """The schema of all registered resources; built once, after Django's apps are ready."""
    resources = registered()
    return Schema(
        query=query_type(resources),
        mutation=mutation_type(resources),
        subscription=Subscription,
    )


EXTENSIONS: tuple[Any, ...] = (
    failures.StreamFailures,
    lambda: MaxTokensLimiter(max_token_count=limits().query_tokens),
    NamedOperation,
    RowLane,
    DocumentLimits,
    Texts,
    PageLimits,
    KnownDocuments,
    DjangoOptimizerExtension,
)
SCALARS: dict[Any, Any] = {BigInt: BIG_INT}
