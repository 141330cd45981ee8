"""What a user may have and ask for, and how much of it is used: the query `limits`."""

from __future__ import annotations

from datetime import datetime

import strawberry
from asgiref.sync import sync_to_async
from strawberry.types import Info

from bulkql.schema.context import Context, user_of
from bulkql.schema.limits.shares import DOWNLOADS, FRAMES, LINE, REQUESTS, SUBSCRIPTIONS
from bulkql.schema.scalars import BigInt
from bulkql.workers.columns.column import graphql_name
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.quotas import quotas_of

#: Limits of one request, file, row or link, of which nothing is ever used up.
OF_ONE_REQUEST = (
    *("inline_rows", "sync_rows", "chunk_size", "max_chunk_size", "dry_run_changes"),
    *("request_bytes", "multipart_bytes", "upload_bytes", "form_bytes"),
    *("cell_bytes", "record_bytes", "file_columns", "json_depth", "compression_expansion"),
    *("parquet_expansion", "parquet_memory_bytes", "workbook_memory_bytes"),
    *("page_rows", "default_page_rows", "answer_rows", "list_seconds"),
    *("query_tokens", "query_aliases", "query_depth", "query_fields"),
    *("lock_seconds", "lock_wait_seconds", "upload_seconds", "file_seconds", "stall_seconds", "handshake_seconds"),
    *("statement_seconds", "webhook_seconds", "max_rows_per_second", "image_rows"),
    *("token_days", "retention_days", "plan_days"),
)

#: What ends by itself, or when the user ends it.
SHARES = (REQUESTS, LINE.waiting, DOWNLOADS, SUBSCRIPTIONS, FRAMES)


@strawberry.type(description="A limit, and how much of it you have used.")
class Limit:
    name: str = strawberry.field(description="Its name, such as userRowsADay.")
    setting: str = strawberry.field(description="The setting that sets it, such as BULKQL_USER_ROWS_A_DAY.")
    limit: BigInt = strawberry.field(description="The most that is allowed; 0 where there is none.")
    used: BigInt | None = strawberry.field(
        description="How much of it you have used; null for limits of a single request."
    )
    reset_at: datetime | None = strawberry.field(
        description="When it is reset; null if something has to end, or be deleted, first."
    )


@strawberry.type
class LimitQuery:
    @strawberry.field(
        description="All limits that an error may name: quotas, shares of this web process, and limits of a single "
        "request."
    )
    async def limits(self, info: Info[Context, None]) -> list[Limit]:
        user = user_of(info)
        quotas = await sync_to_async(quotas_of)(user)
        shares = [(share.limit, share.used(user.pk)) for share in SHARES]
        return [
            *(limit(quota.limit, quota.used, quota.resets_at) for quota in quotas),
            *(limit(name, used) for name, used in shares),
            *(limit(name) for name in OF_ONE_REQUEST),
        ]


def limit(name: str, used: int | None = None, reset_at: datetime | None = None) -> Limit:
    """A limit of conf.Limits, by the name of its field."""
    return Limit(
        name=graphql_name(name),
        setting=setting_name(name),
        limit=BigInt(getattr(limits(), name)),
        used=None if used is None else BigInt(used),
        reset_at=reset_at,
    )
