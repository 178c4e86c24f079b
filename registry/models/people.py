"""Teams and the roles people hold in them."""

from django.conf import settings
from django.db import models


class Team(models.Model):
    name = models.SlugField(unique=True)
    description = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner", "Owner: proposes schemas, manages the team's subjects, bundles and nodes"
    REVIEWER = "reviewer", "Reviewer: approves or rejects proposals and promotions"
    CONSUMER_ADMIN = "consumer_admin", "Consumer admin: manages the team's consumers and tokens"
    AUDITOR = "auditor", "Auditor: reads everything, changes nothing"
    OPERATOR = "operator", "Operator: runs backfills and leases"
    READ_ONLY = "read_only", "Read-only: reads what the team owns, offers or reads; changes nothing"


class Membership(models.Model):
    """One role of one person in one team; a person may hold several."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "user", "role"], name="one_role_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.team}"
