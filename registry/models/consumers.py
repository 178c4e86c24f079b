"""Who reads, with which token, and what they may read."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from registry.models.bundles import Bundle
from registry.models.nodes import Node
from registry.models.people import Team


class Consumer(models.Model):
    """A program or team that reads."""

    name = models.CharField(max_length=200, unique=True)
    owner_team = models.ForeignKey(Team, models.PROTECT, related_name="consumers")
    description = models.TextField(blank=True)
    active = models.BooleanField(default=True)

    # What Django and DRF ask of whoever is signed in.
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False

    def __str__(self) -> str:
        return self.name


class AccessToken(models.Model):
    """A bearer token of one person or one consumer; only its SHA-256 is stored."""

    prefix = models.CharField(max_length=16, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="tokens"
    )
    consumer = models.ForeignKey(
        Consumer, models.PROTECT, null=True, blank=True, related_name="tokens"
    )
    label = models.CharField(max_length=100, blank=True)
    scopes = models.JSONField(default=list)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True) ^ Q(consumer__isnull=True),
                name="token_of_a_person_or_a_consumer",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="token_expires_after_creation"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.user or self.consumer}"


class Subscription(models.Model):
    """A consumer reads a bundle; a trigger refuses two bundles that share a subject."""

    consumer = models.ForeignKey(Consumer, models.PROTECT, related_name="subscriptions")
    bundle = models.ForeignKey(Bundle, models.PROTECT, related_name="subscriptions")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["consumer", "bundle"], name="one_subscription_once")
        ]

    def __str__(self) -> str:
        return f"{self.consumer} subscribes to {self.bundle}"


class NodeGrant(models.Model):
    """A node granted to a consumer by name, beside its subscriptions."""

    consumer = models.ForeignKey(Consumer, models.PROTECT, related_name="grants")
    node = models.ForeignKey(Node, models.PROTECT, related_name="grants")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["consumer", "node"], name="one_grant_once")]

    def __str__(self) -> str:
        return f"{self.consumer} may read {self.node}"
