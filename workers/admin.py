"""Deliveries of webhooks in Django's admin: the log, and sending again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from bulkql.workers.errors import BadInput
from bulkql.workers.models import Delivery
from bulkql.workers.webhooks import deliveries

if TYPE_CHECKING:
    # The class takes a model in the stubs only.
    ModelAdmin: TypeAlias = admin.ModelAdmin[Delivery]
else:
    ModelAdmin = admin.ModelAdmin


@admin.register(Delivery)
class DeliveryAdmin(ModelAdmin):
    """Nothing of it is edited; who may change deliveries may have them sent again."""

    list_display = ("host", "operation", "state", "attempts", "due_at", "delivered_at")
    list_filter = ("state",)
    fields = ("operation", "host", "state", "attempts", "created_at", "due_at", "delivered_at", "tries")
    readonly_fields = fields
    actions = ("send_again",)

    @admin.action(description="Send again", permissions=["change"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        for delivery in queryset.select_related("operation"):
            try:
                deliveries.resend(delivery)
            except BadInput as refused:
                self.message_user(request, str(refused), level="WARNING")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
