"""Nodes and the SLA policies they are read under."""

from collections.abc import Sequence

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from registry.admin.access import may_read_audit
from registry.admin.panels import Panel, pretty_json
from registry.admin.readonly import ReadOnlyAdmin
from registry.models import Node, SLAPolicyDocument


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """Store and source settings are for those who run or audit the node, as in the audit log."""

    list_display = ("named", "subject", "interval", "calendar", "n_series", "sla")
    list_filter = ("sla", "calendar")
    list_select_related = ("subject", "sla")
    search_fields = ("node_id", "description", "subject__name")
    ordering = ("node_id",)
    fields = ("node_id", "subject", "description", "interval", "anchor", "calendar", "sla")

    @display(description="Node", header=True, ordering="node_id")
    def named(self, node: Node) -> Sequence[str]:
        return node.node_id, node.description

    @display(description="Series")
    def n_series(self, node: Node) -> int:
        return len(node.series)

    def panels(self, request: HttpRequest, obj: Node) -> Sequence[Panel]:
        series = Panel(title="Expected series", code=pretty_json(obj.series))
        if not may_read_audit(request):
            return (series,)
        return (
            series,
            Panel(title="Store", code=pretty_json(obj.store)),
            Panel(title="Source", code=pretty_json(obj.source)),
        )


@admin.register(SLAPolicyDocument)
class SLAPolicyAdmin(ReadOnlyAdmin):
    list_display = ("name",)
    search_fields = ("name",)
    ordering = ("name",)
    fields = ("name",)

    def panels(self, request: HttpRequest, obj: SLAPolicyDocument) -> Sequence[Panel]:
        return (Panel(title="Policy", code=pretty_json(obj.document)),)
