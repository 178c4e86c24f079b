"""What the provider keeps: pointers to published bars and artefacts, reports of what it served."""

from datetime import datetime
from urllib.parse import quote

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from coordinator.coverage import Window
from coordinator.models import BackfillJob, BackfillShard
from registry.models import Node, Release, SchemaVersion
from registry.safety_net import Governed
from registry.triggers import AppendOnly, Refuse, protect


class SegmentQuery(models.QuerySet["Segment"]):
    def touching(self, node: Node, window: Window) -> "SegmentQuery":
        """The node's segments in the window, in order of publication.

        Of a shard that was done again only the newest counts: a row that the source has withdrawn
        must not shine through.
        """
        newer = Segment.objects.filter(shard=OuterRef("shard"), epoch__gt=OuterRef("epoch"))
        found = self.filter(
            ~Exists(newer), node=node, range_start__lte=window.end, range_end__gte=window.start
        )
        return found.order_by("pk")


class Segment(models.Model):
    """A published file of backfilled bars. What has no row here is read by nobody.

    `blocks` are the checksums of its blocks, as `[number, rows, checksum]`, made when it was
    written: the dataset fingerprint is composed of them.
    """

    node = models.ForeignKey(Node, models.PROTECT, related_name="segments")
    shard = models.ForeignKey(BackfillShard, models.PROTECT, related_name="segments")
    epoch = models.PositiveBigIntegerField()
    file = models.CharField(max_length=300)
    checksum = models.CharField(max_length=71)
    rows = models.PositiveBigIntegerField()
    range_start = models.BigIntegerField()
    range_end = models.BigIntegerField()
    blocks = models.JSONField(default=list)
    alignment = models.CharField(
        max_length=20,
        blank=True,
        help_text="How its rows were put on the grid; empty: they came so.",
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = SegmentQuery.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["shard", "epoch"], name="one_segment_per_epoch"),
            models.UniqueConstraint(fields=["node", "file"], name="one_segment_per_file"),
            models.CheckConstraint(
                condition=Q(range_end__gte=F("range_start")), name="segment_range_ordered"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.file} of {self.node}"


class RepairRequest(models.Model):
    """A hole that a report showed, and the backfill job that was given it: once per `identity`,
    which names series, range and cause.
    """

    node = models.ForeignKey(Node, models.PROTECT, related_name="repairs")
    identity = models.CharField(max_length=71)
    series = models.JSONField(default=dict)
    range_start = models.BigIntegerField()
    range_end = models.BigIntegerField()
    cause = models.CharField(max_length=40)
    job = models.ForeignKey(BackfillJob, models.PROTECT, related_name="repairs")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["node", "identity"], name="one_repair_per_hole")
        ]

    def __str__(self) -> str:
        return f"{self.cause} of {self.node} → job {self.job_id}"


class StoredReport(models.Model):
    """A conformance report worth keeping: it has findings, or differs from the node's last one.

    It never changes; past its retention it is removed.
    """

    node = models.ForeignKey(Node, models.PROTECT, related_name="reports")
    version = models.ForeignKey(SchemaVersion, models.PROTECT, related_name="reports")
    digest = models.CharField(max_length=71)
    report = models.JSONField()
    regression = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    repairs = models.ManyToManyField(RepairRequest, related_name="reports")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["node", "digest"], name="one_report_per_content")
        ]
        indexes = [
            models.Index(fields=["node", "version", "-id"], name="report_newest_of_node"),
            models.Index(fields=["created_at"], name="report_by_age"),
        ]

    def __str__(self) -> str:
        return f"report {self.pk} of {self.node}"


class PublishedReport(models.Model):
    """The newest report of a node under one version, and what changed since the one before."""

    node = models.ForeignKey(Node, models.PROTECT, related_name="published_reports")
    version = models.ForeignKey(SchemaVersion, models.PROTECT, related_name="published_reports")
    report = models.ForeignKey(StoredReport, models.PROTECT, related_name="publications")
    regression = models.JSONField(default=dict)
    is_clean = models.BooleanField()
    published_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["node", "version"], name="one_published_report")
        ]

    def __str__(self) -> str:
        return f"{self.report} under version {self.version_id}"


class QualityRules(models.Model):
    """Checks of a node's rows together, as documents of `provider.conformance.rules`."""

    node = models.OneToOneField(Node, models.PROTECT, related_name="quality_rules")
    rules = models.JSONField(default=list)
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "quality rules"

    def __str__(self) -> str:
        return f"rules of {self.node}"


class ArtifactQuery(models.QuerySet["Artifact"]):
    def newest_covering(
        self, node: Node, window: Window, *, world: str, as_of: datetime
    ) -> "Artifact | None":
        """What was known of the window at `as_of`, of what was published. There is one at most:
        artefacts that overlap differ in `as_of`.
        """
        found = self.select_related("node").filter(node=node, world=world, as_of__lte=as_of)
        covering = found.filter(range_start__lte=window.start, range_end__gte=window.end)
        return covering.order_by("-as_of", "-pk").first()


class Artifact(models.Model):
    """A checked window that was published: a directory of files that never change, by its address.

    `as_of` is what its rows were known at, `world` whose environment it is for; `manifest` is what
    the directory says of itself.
    """

    node = models.ForeignKey(Node, models.PROTECT, related_name="artifacts")
    version = models.ForeignKey(SchemaVersion, models.PROTECT, related_name="artifacts")
    release = models.ForeignKey(Release, models.PROTECT, null=True, related_name="artifacts")
    address = models.CharField(max_length=71, unique=True)
    world = models.CharField(max_length=200, blank=True)
    as_of = models.DateTimeField()
    range_start = models.BigIntegerField()
    range_end = models.BigIntegerField()
    rows = models.PositiveBigIntegerField()
    dataset_fingerprint = models.CharField(max_length=71)
    manifest = models.JSONField()
    created_at = models.DateTimeField()

    objects = ArtifactQuery.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["node", "world", "as_of", "range_start", "range_end"],
                name="one_artifact_per_window",
            ),
            models.CheckConstraint(
                condition=Q(range_end__gte=F("range_start")), name="artifact_range_ordered"
            ),
        ]
        indexes = [models.Index(fields=["node", "world", "-as_of"], name="artifact_newest")]

    @property
    def manifest_uri(self) -> str:
        """Where the API shows the manifest."""
        return f"/api/v1/nodes/{quote(self.node.node_id)}/artifacts/{self.address}"

    def __str__(self) -> str:
        return f"{self.address[:19]} of {self.node}"


class AsOfMark(models.Model):
    """The newest `as_of` that a world has read a node as of, written behind the reads."""

    node = models.ForeignKey(Node, models.CASCADE, related_name="as_of_marks")
    world = models.CharField(max_length=200, blank=True)
    as_of = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["node", "world"], name="one_as_of_per_world")
        ]

    def __str__(self) -> str:
        return f"{self.world!r} reads {self.node} as of {self.as_of}"


protect(
    AppendOnly("provider.Segment"),
    AppendOnly("provider.Artifact"),
    Governed("provider.Artifact"),
    Refuse(
        "provider.StoredReport",
        name="never_changed",
        when="1 = 1",
        message="a report never changes; it is removed past its retention",
        on=("update",),
    ),
)
