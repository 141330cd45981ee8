"""Registered resources -> the GraphQL schema."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import ExitStack, aclosing
from functools import cache, partial
from itertools import cycle
from typing import Any

import strawberry
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.db import InterfaceError, OperationalError, close_old_connections
from graphql import GraphQLError, parse, validate
from strawberry.extensions import MaxTokensLimiter
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.schema.name_converter import NameConverter
from strawberry.schema.schema import StreamResult
from strawberry.types.execution import ExecutionContext, ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry_django.optimizer import DjangoOptimizerExtension

from bulkql.schema import descriptions, failures
from bulkql.schema.checks.documents import (
    CHARACTERS,
    KnownDocuments,
    NamedOperation,
    is_subscription,
    remember,
    valid_in,
)
from bulkql.schema.checks.size import DocumentLimits, check_document
from bulkql.schema.checks.texts import Texts
from bulkql.schema.checks.weight import LIGHT_TEXT, LIGHT_VALUES, apart, in_thread, is_heavy
from bulkql.schema.context import Context
from bulkql.schema.limits.pages import PageLimits
from bulkql.schema.limits.shares import LINE, SUBSCRIPTIONS
from bulkql.schema.mutations import mutation_type
from bulkql.schema.names import Prefixed, type_prefix
from bulkql.schema.queries import query_type
from bulkql.schema.rows.lane import RowLane
from bulkql.schema.scalars import BIG_INT, DURATION, BigInt, Duration
from bulkql.schema.subscriptions import Subscription
from bulkql.schema.watching import sharing
from bulkql.workers.conf import limits
from bulkql.workers.errors import BulkError, LimitExceeded, Unauthenticated
from bulkql.workers.resources.registry import BulkResource, registered


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
        # A project's own names for types go before ours.
        if type_prefix() and type(config.name_converter) is NameConverter:
            config.name_converter = Prefixed(config.name_converter.auto_camel_case)
        super().__init__(query, mutation, subscription, extensions=[*extensions, *EXTENSIONS], config=config, **options)
        descriptions.complete(self._schema)

    # Strawberry's signature, by which its views call it.
    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """The result of a query or a mutation; a heavy one is parsed, checked and coerced in a thread."""
        start = partial(
            super().execute,
            query,
            variable_values,
            context_value,
            root_value,
            operation_name,
            allowed_operation_types,
            operation_extensions,
        )
        return await (apart(start) if self._is_heavy(query, variable_values) else start())

    def _is_heavy(self, query: str | None, variables: Any) -> bool:
        text = query or ""
        return (len(text) > LIGHT_TEXT and text not in valid_in(self)) or is_heavy(variables)

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
        """The results of a websocket's operation; those who watch the same share them.

        Who sends an operation is asked each time: a socket may be open for days.
        """
        if isinstance(context_value, Context):
            try:
                context_value = await context_value.of_operation()
            except Unauthenticated as error:
                return refusal(context_value, error)
            except (OperationalError, InterfaceError) as error:
                return once(partial(refused, [failures.error_of(error)]))
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
        user = getattr(context_value, "user", None)
        user_id = None if user is None or not user.is_authenticated else user.pk
        is_heavy_one = self._is_heavy(query, variable_values)
        is_watching = partial(is_subscription, query or "", operation_name)
        if not (await in_thread(is_watching) if is_heavy_one else is_watching()):
            run = partial(self.execute, query, variable_values, context_value, root_value, operation_name)
            results: StreamResult = once(run if user_id is None else partial(in_turn, user_id, run))
        elif is_heavy_one and (errors := await in_thread(self._remember, query or "", variable_values)):
            return once(partial(refused, errors))
        else:
            watch_apart()
            key = sharing.key_of(query, variable_values, context_value, operation_name)
            results = forgetting(await start(), variable_values) if key is None else sharing.shared(key, start)
        return results if user_id is None else counted(results, user_id)

    def _remember(self, text: str, variables: Any) -> list[GraphQLError]:
        """What is wrong with a subscription's text; one that is right need not be parsed again on the event loop."""
        if len(text) > CHARACTERS or is_heavy(variables):
            error = LimitExceeded(
                f"A subscription has at most {CHARACTERS:,} characters, and {LIGHT_VALUES:,} values in its variables; "
                f"ask for more in a query."
            )
            return [failures.error_of(error)]
        try:
            document = parse(text, max_tokens=limits().query_tokens)
            check_document(document)
        except BulkError as error:
            return [failures.error_of(error)]
        errors = validate(self._schema, document)
        if not errors:
            remember(valid_in(self), text, document)
        return errors

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        failures.log(errors)
        failures.name_allowed(errors, self._schema.type_map)


async def once(run: Callable[[], Awaitable[ExecutionResult]]) -> AsyncGenerator[ExecutionResult, None]:
    """The stream of one result."""
    try:
        result = await run()
    except CannotGetOperationTypeError as error:  # as Strawberry's own streams tell it
        result = await refused([failures.error_of(error)])
    except LimitExceeded as error:
        result = await refused([failures.error_of(error)])
    if result.errors:
        result.errors = [failures.coded(error) for error in result.errors]
    yield result


async def in_turn(user_id: Any, run: Callable[[], Awaitable[ExecutionResult]]) -> ExecutionResult:
    """A query or a mutation of a websocket, as one over HTTP: in its user's line, and with a thread of its own.

    All websockets of a process would share one thread for the database, and wait while one of them waits for a lock.
    """
    async with LINE.turn(user_id), ThreadSensitiveContext():
        try:
            return await run()
        finally:
            await sync_to_async(close_old_connections)()


#: The threads in which subscriptions ask the database. With more of them, requests over HTTP would wait longer.
WATCHING = cycle([ThreadSensitiveContext() for _ in range(2)])


def watch_apart() -> None:
    """Have this task's subscription, and what it begins, ask the database in one of their threads.

    In the one that websockets share, whoever signs in would wait for all who watch.
    """
    # Not entered, so never left: what several subscriptions share outlives the one that began it.
    SyncToAsync.thread_sensitive_context.set(next(WATCHING))


async def refused(errors: list[GraphQLError]) -> ExecutionResult:
    """What was not begun."""
    return PreExecutionError(data=None, errors=errors)


async def refusal(context: Context, error: Unauthenticated) -> AsyncGenerator[PreExecutionError, None]:
    """The answer to a socket whose credential is good no more; then it is closed."""
    try:
        yield PreExecutionError(data=None, errors=[GraphQLError(str(error), extensions=error.extensions)])
    finally:
        if context.consumer is not None:
            await context.consumer.revoke()


async def counted(results: StreamResult, user_id: Any) -> AsyncGenerator[Any, None]:
    """The same results, while they are among the subscriptions that a user may have."""
    async with aclosing(results) as stream:
        with ExitStack() as held:
            try:
                held.enter_context(SUBSCRIPTIONS.taken(user_id))
            except LimitExceeded as error:
                yield await refused([failures.error_of(error)])
                return
            async for result in stream:
                yield result


async def forgetting(results: StreamResult, variables: dict[str, Any] | None) -> AsyncGenerator[Any, None]:
    """The same results of a subscription that nobody shares; its variables end with it.

    An execution is a cycle of objects, and it may take long until garbage is collected. Variables may have 16 MB.
    """
    try:
        async with aclosing(results) as stream:
            async for result in stream:
                yield result
    finally:
        if variables is not None:
            variables.clear()


@cache
def schema() -> Schema:
    """The schema of all registered resources; built once, after Django's apps are ready."""
    return built(registered())


def built(resources: list[BulkResource]) -> Schema:
    """A schema of these resources."""
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
    Texts,
    KnownDocuments,
    DocumentLimits,
    PageLimits,
    DjangoOptimizerExtension,
)
SCALARS: dict[Any, Any] = {BigInt: BIG_INT, Duration: DURATION}
