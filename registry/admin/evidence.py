"""What checks found and what was read. Canary tallies stand on their rollout's page."""

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from registry.admin.panels import STATE_COLOURS, Panel, moment, pretty_json
from registry.admin.readonly import ReadOnlyLogAdmin
from registry.models import Diagnostic, RetainedSample, Usage


@admin.register(Diagnostic)
class DiagnosticAdmin(ReadOnlyLogAdmin):
    list_display = ("about", "place", "mode_label", "count", "version", "last_seen")
    list_filter = ("mode",)
    list_select_related = ("consumer", "node", "version__subject")
    search_fields = ("node__node_id", "consumer__name", "column", "keyword")
    ordering = ("-last_seen_at", "-pk")
    fields = (
        "consumer",
        "node",
        "version",
        "mode",
        "column",
        "keyword",
        "count",
        "first_seen_at",
        "last_seen_at",
    )

    @display(description="Finding", header=True)
    def about(self, found: Diagnostic) -> Sequence[str]:
        return f"{found.column or '(row)'} · {found.keyword}", f"for {found.consumer}"

    @display(description="Node", ordering="node__node_id")
    def place(self, found: Diagnostic) -> str:
        return found.node.node_id

    @display(description="Mode", label=STATE_COLOURS, ordering="mode")
    def mode_label(self, found: Diagnostic) -> str:
        return found.mode

    @display(description="Last seen", ordering="last_seen_at")
    def last_seen(self, found: Diagnostic) -> str:
        return moment(found.last_seen_at)

    def panels(self, request: HttpRequest, obj: Diagnostic) -> Sequence[Panel]:
        return (Panel(title="Samples", code=pretty_json(obj.samples)),)


@admin.register(Usage)
class UsageAdmin(ReadOnlyLogAdmin):
    list_display = ("consumer", "place", "columns", "version", "release", "day", "reads")
    list_filter = ("day",)
    list_select_related = ("consumer", "node", "version__subject")
    search_fields = ("node__node_id", "consumer__name", "release")
    ordering = ("-day", "-pk")

    @display(description="Node", ordering="node__node_id")
    def place(self, usage: Usage) -> str:
        return usage.node.node_id


@admin.register(RetainedSample)
class RetainedSampleAdmin(ReadOnlyLogAdmin):
    """That there is a sample, and what is not in it; its rows are loaded for nobody."""

    list_display = ("place_of", "version", "row_count", "withheld", "taken")
    list_select_related = ("node", "version__subject")
    search_fields = ("node__node_id",)
    ordering = ("-taken_at", "-pk")
    fields = ("node", "version", "row_count", "withheld", "taken_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[RetainedSample]:
        found: QuerySet[RetainedSample] = super().get_queryset(request)
        return found.defer("rows")

    @display(description="Node", ordering="node__node_id")
    def place_of(self, sample: RetainedSample) -> str:
        return sample.node.node_id

    @display(description="Taken", ordering="taken_at")
    def taken(self, sample: RetainedSample) -> str:
        return moment(sample.taken_at)
