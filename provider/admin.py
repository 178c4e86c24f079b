"""What was published and what was reported, to be looked at."""

from collections.abc import Sequence

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from provider.models import Artifact, Segment, StoredReport
from registry.admin.panels import Panel, brief, moment, pretty_json
from registry.admin.readonly import ReadOnlyAdmin, ReadOnlyLogAdmin


@admin.register(StoredReport)
class StoredReportAdmin(ReadOnlyLogAdmin):
    of_node = "node"
    list_display = ("about", "version", "created")
    list_select_related = ("node", "version__subject")
    search_fields = ("node__node_id", "=digest", "=request_id")
    ordering = ("-pk",)
    fields = ("node", "version", "digest", "request_id", "created_at")

    @display(description="Report", header=True, ordering="pk")
    def about(self, stored: StoredReport) -> Sequence[str]:
        return f"{stored.pk} · {stored.node}", brief(stored.digest)

    @display(description="Made", ordering="created_at")
    def created(self, stored: StoredReport) -> str:
        return moment(stored.created_at)

    def panels(self, request: HttpRequest, obj: StoredReport) -> Sequence[Panel]:
        return (
            Panel(title="Report", code=pretty_json(obj.report)),
            Panel(title="Against the node's last report", code=pretty_json(obj.regression)),
        )


@admin.register(Segment)
class SegmentAdmin(ReadOnlyAdmin):
    of_node = "node"
    list_display = ("about", "rows", "epoch", "bars", "created")
    list_select_related = ("node",)
    search_fields = ("node__node_id", "file", "=checksum")
    ordering = ("-pk",)

    @display(description="Segment", header=True, ordering="pk")
    def about(self, segment: Segment) -> Sequence[str]:
        return segment.node.node_id, segment.file

    @display(description="Bar times (epoch seconds)", ordering="range_start")
    def bars(self, segment: Segment) -> str:
        return f"{segment.range_start} to {segment.range_end}"

    @display(description="Published", ordering="created_at")
    def created(self, segment: Segment) -> str:
        return moment(segment.created_at)


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyLogAdmin):
    list_display = ("about", "rows", "bars", "known", "world", "created")
    list_select_related = ("node",)
    search_fields = ("node__node_id", "=address", "=dataset_fingerprint", "=world")
    ordering = ("-pk",)
    fields = ("node", "version", "release", "address", "world", "as_of", "created_at")

    @display(description="Artifact", header=True, ordering="pk")
    def about(self, artifact: Artifact) -> Sequence[str]:
        return artifact.node.node_id, brief(artifact.address)

    @display(description="Bar times (epoch seconds)", ordering="range_start")
    def bars(self, artifact: Artifact) -> str:
        return f"{artifact.range_start} to {artifact.range_end}"

    @display(description="As of", ordering="as_of")
    def known(self, artifact: Artifact) -> str:
        return moment(artifact.as_of)

    @display(description="Published", ordering="created_at")
    def created(self, artifact: Artifact) -> str:
        return moment(artifact.created_at)

    def panels(self, request: HttpRequest, obj: Artifact) -> Sequence[Panel]:
        return (Panel(title="Manifest", code=pretty_json(obj.manifest)),)
