from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def fill_verdicts(apps: Any, schema_editor: Any) -> None:
    """What the reports so far say, in a column that a trigger can read."""
    proposal = apps.get_model("registry", "Proposal").objects
    for pk, report in proposal.values_list("pk", "compatibility_report").iterator():
        verdict = report.get("verdict", "compatible")
        if verdict != "compatible":
            proposal.filter(pk=pk).update(verdict=verdict)


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApprovalTeam",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("approvals", models.PositiveSmallIntegerField(default=1)),
            ],
        ),
        migrations.CreateModel(
            name="ReplayRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("revision", models.PositiveIntegerField()),
                (
                    "days",
                    models.PositiveSmallIntegerField(
                        help_text="How far back stored data is replayed."
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("done", "Done"),
                            ("cancelled", "Cancelled"),
                            ("failed", "Failed"),
                        ],
                        default="running",
                        max_length=9,
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="ReplayShard",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("start", models.BigIntegerField(blank=True, null=True)),
                ("end", models.BigIntegerField(blank=True, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                        ],
                        default="waiting",
                        max_length=7,
                    ),
                ),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("held_until", models.DateTimeField(blank=True, null=True)),
                ("rows", models.PositiveBigIntegerField(default=0)),
                ("invalid", models.PositiveBigIntegerField(default=0)),
                ("failures", models.JSONField(default=list)),
                ("error", models.TextField(blank=True)),
            ],
            options={
                "ordering": ["run", "number"],
            },
        ),
        migrations.CreateModel(
            name="Waiver",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("revision", models.PositiveIntegerField()),
                (
                    "rule",
                    models.CharField(
                        choices=[("compatibility", "Compatibility"), ("replay", "Replay")],
                        max_length=13,
                    ),
                ),
                ("reason", models.TextField()),
                ("requested_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("granted_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="review",
            name="one_review_per_person_and_content",
        ),
        migrations.AddField(
            model_name="proposal",
            name="revision",
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.AddField(
            model_name="proposal",
            name="verdict",
            field=models.CharField(default="compatible", max_length=12),
        ),
        migrations.AddField(
            model_name="review",
            name="revision",
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.AddField(
            model_name="review",
            name="team",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.team",
            ),
        ),
        migrations.AddField(
            model_name="schemaversion",
            name="deprecated_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="schemaversion",
            name="retired_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="schemaversion",
            name="sunset_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="subject",
            name="contact",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="subject",
            name="replay",
            field=models.CharField(
                choices=[
                    ("optional", "Optional"),
                    ("required", "Required: the candidate was replayed, whatever came of it"),
                    ("clean", "Clean: the candidate was replayed and refused no row"),
                ],
                default="optional",
                help_text="What a shadow replay must have shown before an approval.",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="subject",
            name="tags",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.RunPython(fill_verdicts, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(("revision__gte", 1)), name="proposal_revisions_from_1"
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(("verdict__in", ["compatible", "incompatible", "not_proven"])),
                name="proposal_verdict_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="review",
            constraint=models.UniqueConstraint(
                fields=("proposal", "reviewer", "revision"),
                name="one_review_per_person_and_revision",
            ),
        ),
        migrations.AddConstraint(
            model_name="schemaversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("deprecated_at__isnull", True),
                        ("state", "approved"),
                        ("sunset_at__isnull", True),
                    ),
                    models.Q(
                        ("deprecated_at__isnull", False),
                        ("state__in", ["deprecated", "retired"]),
                        ("sunset_at__gte", models.F("deprecated_at")),
                    ),
                    _connector="OR",
                ),
                name="version_deprecated_with_a_sunset",
            ),
        ),
        migrations.AddConstraint(
            model_name="schemaversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("retired_at__isnull", False), ("state", "retired")),
                    models.Q(
                        ("retired_at__isnull", True), ("state__in", ["approved", "deprecated"])
                    ),
                    _connector="OR",
                ),
                name="version_retired_at_an_instant",
            ),
        ),
        migrations.AddConstraint(
            model_name="subject",
            constraint=models.CheckConstraint(
                condition=models.Q(("replay__in", ["optional", "required", "clean"])),
                name="subject_replay_rule_known",
            ),
        ),
        migrations.AddField(
            model_name="approvalteam",
            name="subject",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="approval_teams",
                to="registry.subject",
            ),
        ),
        migrations.AddField(
            model_name="approvalteam",
            name="team",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="registry.team"
            ),
        ),
        migrations.AddField(
            model_name="replayrun",
            name="content",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.schemacontent",
            ),
        ),
        migrations.AddField(
            model_name="replayrun",
            name="proposal",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="replays",
                to="registry.proposal",
            ),
        ),
        migrations.AddField(
            model_name="replayrun",
            name="requested_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="replayshard",
            name="node",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.node",
            ),
        ),
        migrations.AddField(
            model_name="replayshard",
            name="run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="shards",
                to="registry.replayrun",
            ),
        ),
        migrations.AddField(
            model_name="waiver",
            name="granted_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="waiver",
            name="proposal",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="waivers",
                to="registry.proposal",
            ),
        ),
        migrations.AddField(
            model_name="waiver",
            name="requested_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalteam",
            constraint=models.UniqueConstraint(
                fields=("subject", "team"), name="one_rule_per_team"
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalteam",
            constraint=models.CheckConstraint(
                condition=models.Q(("approvals__gte", 1)), name="team_approves_at_least_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="replayrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", True), ("state", "running")),
                    models.Q(
                        ("finished_at__isnull", False),
                        ("state__in", ["done", "cancelled", "failed"]),
                    ),
                    _connector="OR",
                ),
                name="replay_finished_when_it_ends",
            ),
        ),
        migrations.AddConstraint(
            model_name="replayrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "running")),
                fields=("proposal",),
                name="one_replay_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="replayshard",
            constraint=models.UniqueConstraint(
                fields=("run", "number"), name="one_replay_shard_per_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="replayshard",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["waiting", "running", "done", "failed"])),
                name="replay_shard_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="replayshard",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("held_until__isnull", False), ("state", "running")),
                    models.Q(("state", "running"), _negated=True),
                    _connector="OR",
                ),
                name="running_replay_shard_is_held",
            ),
        ),
        migrations.AddConstraint(
            model_name="waiver",
            constraint=models.CheckConstraint(
                condition=models.Q(("rule__in", ["compatibility", "replay"])),
                name="waiver_rule_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="waiver",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="waiver_has_a_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="waiver",
            constraint=models.CheckConstraint(
                condition=models.Q(("expires_at__gt", models.F("requested_at"))),
                name="waiver_expires_later",
            ),
        ),
        migrations.AddConstraint(
            model_name="waiver",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("granted_at__isnull", True), ("granted_by__isnull", True)),
                    models.Q(("granted_at__isnull", False), ("granted_by__isnull", False)),
                    _connector="OR",
                ),
                name="waiver_granted_by_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="waiver",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("granted_by__isnull", True),
                    models.Q(("granted_by", models.F("requested_by")), _negated=True),
                    _connector="OR",
                ),
                name="waiver_of_two_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="waiver",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("granted_at__isnull", True),
                    ("granted_at__lt", models.F("expires_at")),
                    _connector="OR",
                ),
                name="waiver_granted_in_time",
            ),
        ),
    ]
