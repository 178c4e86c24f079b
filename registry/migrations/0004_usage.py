import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0003_rollouts"),
    ]

    operations = [
        migrations.CreateModel(
            name="RetainedSample",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("place", models.PositiveSmallIntegerField()),
                ("rows", models.TextField()),
                ("row_count", models.PositiveSmallIntegerField()),
                ("withheld", models.JSONField(default=list)),
                ("taken_at", models.DateTimeField()),
                (
                    "node",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="samples",
                        to="registry.node",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="samples",
                        to="registry.schemaversion",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["taken_at"], name="samples_by_age")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("node", "version", "place"), name="one_sample_per_place"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Usage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("release", models.CharField(blank=True, max_length=220)),
                ("columns", models.CharField(max_length=1000)),
                ("day", models.DateField()),
                ("reads", models.PositiveBigIntegerField()),
                ("last_read_at", models.DateTimeField()),
                (
                    "consumer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="usage",
                        to="registry.consumer",
                    ),
                ),
                (
                    "node",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="usage",
                        to="registry.node",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="usage",
                        to="registry.schemaversion",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "usage",
                "indexes": [models.Index(fields=["node", "day"], name="usage_of_a_node")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("consumer", "node", "version", "release", "columns", "day"),
                        name="one_usage_per_kind_and_day",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reads__gte", 1)), name="usage_counts_reads"
                    ),
                ],
            },
        ),
    ]
