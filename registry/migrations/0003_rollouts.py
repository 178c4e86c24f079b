from typing import Any

import django.db.models.deletion
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models


def start_the_count(apps: Any, schema_editor: Any) -> None:
    apps.get_model("registry", "RegistryState").objects.create(pk=1, version=1)


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0002_lifecycle"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="GateOverride",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.TextField()),
                ("requested_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Incident",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.TextField()),
                ("opened_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("count", models.PositiveBigIntegerField(default=1)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("closing", models.TextField(blank=True, help_text="Why it was closed.")),
            ],
        ),
        migrations.CreateModel(
            name="RegistryState",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveBigIntegerField(default=0)),
            ],
            options={
                "verbose_name_plural": "registry state",
            },
        ),
        migrations.RemoveConstraint(
            model_name="diagnostic",
            name="one_diagnostic_per_kind",
        ),
        migrations.RemoveField(
            model_name="gatepolicy",
            name="maximum_violations",
        ),
        migrations.AddField(
            model_name="accesstoken",
            name="last_used_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="canarytally",
            name="last_read_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="diagnostic",
            name="release",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="diagnostics",
                to="registry.release",
            ),
        ),
        migrations.AddField(
            model_name="gatepolicy",
            name="maximum_unchecked_share",
            field=models.DecimalField(
                decimal_places=6,
                default=Decimal("0.05"),
                help_text="Of all mirrored reads.",
                max_digits=7,
            ),
        ),
        migrations.AddField(
            model_name="gatepolicy",
            name="maximum_violation_rate",
            field=models.DecimalField(
                decimal_places=6,
                default=0,
                help_text="Violations a row that was checked.",
                max_digits=7,
            ),
        ),
        migrations.AddField(
            model_name="gatepolicy",
            name="minimum_node_coverage",
            field=models.DecimalField(
                decimal_places=6,
                default=1,
                help_text="Of the nodes the consumer usually reads.",
                max_digits=7,
            ),
        ),
        migrations.AddField(
            model_name="gatepolicy",
            name="minimum_rows",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="gatepolicy",
            name="promotes_itself",
            field=models.BooleanField(
                default=False, help_text="Promote as soon as every gate is open."
            ),
        ),
        migrations.AddField(
            model_name="rollout",
            name="ramp_percent",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddConstraint(
            model_name="diagnostic",
            constraint=models.UniqueConstraint(
                condition=models.Q(("release__isnull", False)),
                fields=("consumer", "node", "release", "version", "mode", "column", "keyword"),
                name="one_diagnostic_per_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="diagnostic",
            constraint=models.UniqueConstraint(
                condition=models.Q(("release__isnull", True)),
                fields=("consumer", "node", "version", "mode", "column", "keyword"),
                name="one_ungoverned_diagnostic_per_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="gatepolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("maximum_unchecked_share__range", (0, 1)),
                    ("maximum_violation_rate__range", (0, 1)),
                    ("minimum_node_coverage__range", (0, 1)),
                ),
                name="gate_shares_from_0_to_1",
            ),
        ),
        migrations.AddConstraint(
            model_name="rollout",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("ramp_percent", 0),
                    models.Q(("mode", "canary"), ("ramp_percent__lte", 99)),
                    _connector="OR",
                ),
                name="only_a_canary_ramps",
            ),
        ),
        migrations.AddField(
            model_name="gateoverride",
            name="confirmed_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="gateoverride",
            name="requested_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="gateoverride",
            name="rollout",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="overrides",
                to="registry.rollout",
            ),
        ),
        migrations.AddField(
            model_name="incident",
            name="bundle",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="incidents",
                to="registry.bundle",
            ),
        ),
        migrations.AddField(
            model_name="incident",
            name="closed_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="incident",
            name="consumer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="incidents",
                to="registry.consumer",
            ),
        ),
        migrations.AddField(
            model_name="incident",
            name="node",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="incidents",
                to="registry.node",
            ),
        ),
        migrations.AddField(
            model_name="incident",
            name="opened_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="incident",
            name="release",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="incidents",
                to="registry.release",
            ),
        ),
        migrations.AddConstraint(
            model_name="gateoverride",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("confirmed_by__isnull", True),
                    models.Q(("confirmed_by", models.F("requested_by")), _negated=True),
                    _connector="OR",
                ),
                name="override_by_two_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="gateoverride",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("confirmed_at__isnull", True), ("confirmed_by__isnull", True)),
                    models.Q(("confirmed_at__isnull", False), ("confirmed_by__isnull", False)),
                    _connector="OR",
                ),
                name="override_confirmed_by_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="gateoverride",
            constraint=models.CheckConstraint(
                condition=models.Q(("expires_at__gt", models.F("requested_at"))),
                name="override_expires_later",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.UniqueConstraint(
                condition=models.Q(("closed_at__isnull", True), ("opened_by__isnull", True)),
                fields=("consumer", "bundle", "node"),
                name="one_open_refusal_incident",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("closed_at__isnull", False), ("closed_by__isnull", True), _connector="OR"
                ),
                name="incident_closed_by_when_closed",
            ),
        ),
        migrations.RunPython(start_the_count, migrations.RunPython.noop),
    ]
