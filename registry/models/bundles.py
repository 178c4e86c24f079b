"""Bundles and the immutable releases cut from them."""

from django.db import models
from django.db.models import Q

from registry.models.people import Team
from registry.models.subjects import SchemaVersion, Subject


class Bundle(models.Model):
    """A named set of subjects that are released together."""

    name = models.CharField(max_length=200, unique=True)
    owner_team = models.ForeignKey(Team, models.PROTECT, related_name="bundles")
    description = models.TextField(blank=True)
    subjects = models.ManyToManyField(Subject, through="BundleMember", related_name="bundles")
    gate_policy = models.ForeignKey("GatePolicy", models.PROTECT, related_name="bundles")

    def __str__(self) -> str:
        return self.name


class BundleMember(models.Model):
    bundle = models.ForeignKey(Bundle, models.PROTECT, related_name="members")
    subject = models.ForeignKey(Subject, models.PROTECT, related_name="memberships")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bundle", "subject"], name="one_subject_once_a_bundle")
        ]

    def __str__(self) -> str:
        return f"{self.subject} in {self.bundle}"


class Release(models.Model):
    """An immutable list of a bundle's members, numbered without holes, named by its fingerprint."""

    bundle = models.ForeignKey(Bundle, models.PROTECT, related_name="releases")
    number = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=71)
    versions = models.ManyToManyField(
        SchemaVersion, through="ReleaseMember", related_name="releases"
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["bundle", "number"]
        constraints = [
            models.UniqueConstraint(fields=["bundle", "number"], name="one_release_per_number"),
            models.UniqueConstraint(
                fields=["bundle", "fingerprint"], name="one_release_per_fingerprint"
            ),
            models.CheckConstraint(condition=Q(number__gte=1), name="release_numbers_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.bundle} release {self.number}"


class ReleaseMember(models.Model):
    """`subject` repeats the version's, so that a release holds each subject once (a trigger)."""

    release = models.ForeignKey(Release, models.PROTECT, related_name="members")
    subject = models.ForeignKey(Subject, models.PROTECT, related_name="+")
    version = models.ForeignKey(SchemaVersion, models.PROTECT, related_name="release_members")

    class Meta:
        ordering = ["subject__name"]
        constraints = [
            models.UniqueConstraint(
                fields=["release", "subject"], name="one_subject_once_a_release"
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} in {self.release}"
