"""Fair work: places in the queue, waiting readers, limits of sources, kept answers."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from coordinator.lease_state import queue_rank
from coordinator.source_names import source_name


def fill_in(apps: Any, schema_editor: Any) -> None:
    """Jobs from before have a source, their unfinished shards a place in the queue."""
    BackfillJob = apps.get_model("coordinator", "BackfillJob")
    for job in BackfillJob.objects.select_related("node").order_by("pk").iterator():
        job.source = source_name(job.node.source)
        job.save(update_fields=["source"])
        for priority in job.shards.values_list("priority", flat=True).distinct():
            rank = queue_rank(job.created_at, priority)
            job.shards.filter(priority=priority).update(rank=rank)


class Migration(migrations.Migration):
    dependencies = [
        ("coordinator", "0002_job_exclusion"),
    ]

    operations = [
        migrations.CreateModel(
            name="BackfillWaiter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("range_start", models.BigIntegerField()),
                ("range_end", models.BigIntegerField()),
                ("until", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="IdempotentRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("caller", models.CharField(max_length=80)),
                ("method", models.CharField(max_length=8)),
                ("path", models.CharField(max_length=500)),
                ("key", models.CharField(max_length=200)),
                ("body_digest", models.CharField(max_length=71)),
                ("started_at", models.DateTimeField()),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("content_type", models.CharField(blank=True, max_length=100)),
                ("body", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="PeriodicRound",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("by", models.CharField(max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name="SourceLimit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=300, unique=True)),
                (
                    "max_running",
                    models.PositiveIntegerField(blank=True, help_text="Shards at once.", null=True),
                ),
                (
                    "per_minute",
                    models.FloatField(blank=True, help_text="Shards begun per minute.", null=True),
                ),
                (
                    "burst",
                    models.PositiveIntegerField(
                        default=1, help_text="Shards begun at once after a pause."
                    ),
                ),
                ("tokens", models.FloatField(default=0.0)),
                ("refilled_at", models.DateTimeField()),
                (
                    "blocked_until",
                    models.DateTimeField(blank=True, help_text="It asked for patience.", null=True),
                ),
            ],
        ),
        migrations.RemoveIndex(
            model_name="backfillshard",
            name="backfill_shard_to_do",
        ),
        migrations.RemoveField(
            model_name="backfillshard",
            name="queued_at",
        ),
        migrations.AddField(
            model_name="backfilljob",
            name="failure_budget",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="How many shards may end as violations; empty: all.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="backfilljob",
            name="source",
            field=models.CharField(
                blank=True, help_text="Whose limits it is under.", max_length=300
            ),
        ),
        migrations.AddField(
            model_name="backfillshard",
            name="held_back",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="backfillshard",
            name="rank",
            field=models.BigIntegerField(default=0, help_text="Place in the queue, lowest first."),
        ),
        migrations.AddField(
            model_name="quarantine",
            name="released_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="quarantine",
            name="released_by",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AlterField(
            model_name="backfillshard",
            name="violation",
            field=models.CharField(
                blank=True,
                help_text="schema_refused, attempts_exhausted, failure_budget_spent, cancelled",
                max_length=40,
            ),
        ),
        migrations.AddIndex(
            model_name="backfillshard",
            index=models.Index(
                condition=models.Q(("state__in", ["failed", "leased", "pending"])),
                fields=["rank", "id"],
                name="backfill_shard_to_do",
            ),
        ),
        migrations.AddIndex(
            model_name="backfillshard",
            index=models.Index(
                condition=models.Q(("state", "leased")),
                fields=["expires_at"],
                name="backfill_shard_leased",
            ),
        ),
        migrations.AddIndex(
            model_name="quarantine",
            index=models.Index(fields=["created_at"], name="coordinator_created_2620a6_idx"),
        ),
        migrations.AddField(
            model_name="backfillwaiter",
            name="job",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="waiters",
                to="coordinator.backfilljob",
            ),
        ),
        migrations.AddIndex(
            model_name="idempotentrequest",
            index=models.Index(fields=["started_at"], name="coordinator_started_fd5894_idx"),
        ),
        migrations.AddConstraint(
            model_name="idempotentrequest",
            constraint=models.UniqueConstraint(
                fields=("caller", "method", "path", "key"), name="one_request_per_key"
            ),
        ),
        migrations.AddConstraint(
            model_name="sourcelimit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("per_minute__isnull", True), ("per_minute__gt", 0), _connector="OR"
                ),
                name="source_limit_rate_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="sourcelimit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("max_running__isnull", True), ("max_running__gte", 1), _connector="OR"
                ),
                name="source_limit_lets_one_run",
            ),
        ),
        migrations.AddConstraint(
            model_name="sourcelimit",
            constraint=models.CheckConstraint(
                condition=models.Q(("burst__gte", 1)), name="source_limit_burst_positive"
            ),
        ),
        migrations.AddIndex(
            model_name="backfillwaiter",
            index=models.Index(fields=["until"], name="coordinator_until_cc7d51_idx"),
        ),
        migrations.RunPython(fill_in, migrations.RunPython.noop),
    ]
