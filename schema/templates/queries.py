"""The query `resourceTemplate`: a link to a workbook to fill in."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from asgiref.sync import sync_to_async
from django.urls import reverse
from strawberry.types import Info

from bulkql.schema.context import Context, user_of
from bulkql.schema.enums import FileFormat, Verb
from bulkql.schema.templates.columns import template_of
from bulkql.workers.downloads import signatures
from bulkql.workers.resources.registry import resource_named

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Name = Annotated[str, strawberry.argument(description="The resource's name, as in `bulkResources`.")]
Does = Annotated[Verb, strawberry.argument(description="What is to be done with the rows.")]


@strawberry.type(
    description="An empty workbook for a resource's rows, with a line of help below its header, and drop-downs. "
    "Fill it in and send it as it is."
)
class ResourceTemplate:
    name: str = strawberry.field(description="Its name, such as airports-create.xlsx.")
    format: FileFormat = strawberry.field(description="Its format.")
    url: str = strawberry.field(description="Where to GET it, with your authorization.")
    expires_at: datetime.datetime = strawberry.field(
        description="Until when the URL is valid; query it again to get a new one."
    )


@strawberry.type
class TemplateQuery:
    @strawberry.field(description="A workbook to fill in, with the columns that you may give.")
    async def resource_template(self, info: Info[Context, None], resource: Name, verb: Does) -> ResourceTemplate:
        return await sync_to_async(linked_template)(user_of(info), resource, Verb(verb), info.context.base_url)


def linked_template(user: User, name: str, verb: Verb, base_url: str) -> ResourceTemplate:
    """The link to a template, which is written when it is followed; raises BadInput, Forbidden."""
    template = template_of(resource_named(name), verb, user)
    signature, expires_at = signatures.sign(signatures.TEMPLATES, template.name)
    return ResourceTemplate(
        name=template.name,
        format=FileFormat(template.format),
        url=base_url + reverse("bulkql:template", args=[signature, template.name]),
        expires_at=expires_at,
    )
