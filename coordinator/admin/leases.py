"""What limits sources, and the leases of programs without our database."""

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from coordinator.live_page import STATE_COLOURS
from coordinator.models import (
    ServiceLease,
    SourceLimit,
)
from registry.admin.panels import moment
from registry.admin.readonly import ReadOnlyAdmin


@admin.register(SourceLimit)
class SourceLimitAdmin(ReadOnlyAdmin):
    """Set with `manage.py backfill limit`."""

    list_display = ("about", "max_running", "per_minute", "burst", "tokens", "until")
    ordering = ("name",)

    @display(description="Source", ordering="name")
    def about(self, limit: SourceLimit) -> str:
        return str(limit)

    @display(description="Blocked until", ordering="blocked_until")
    def until(self, limit: SourceLimit) -> str:
        return moment(limit.blocked_until)


@admin.register(ServiceLease)
class ServiceLeaseAdmin(ReadOnlyAdmin):
    list_display = ("about", "state_label", "epoch", "completion_ratio", "ends")
    list_filter = ("state",)
    search_fields = ("key", "holder")
    ordering = ("-updated_at",)
    exclude = ("token_digest",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceLease]:
        found: QuerySet[ServiceLease] = super().get_queryset(request)
        return found.defer("token_digest")

    @display(description="Key", header=True, ordering="key")
    def about(self, lease: ServiceLease) -> Sequence[str]:
        return lease.key, lease.holder

    @display(description="State", label=STATE_COLOURS, ordering="state")
    def state_label(self, lease: ServiceLease) -> str:
        return lease.state

    @display(description="Ends", ordering="expires_at")
    def ends(self, lease: ServiceLease) -> str:
        return moment(lease.expires_at)
