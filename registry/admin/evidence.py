"""What checks found. Canary tallies stand on their rollout's page."""

from collections.abc import Sequence

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from registry.admin.panels import STATE_COLOURS, Panel, moment, pretty_json
from registry.admin.readonly import ReadOnlyLogAdmin
from registry.models import Diagnostic


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
