from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry", "0005_signed_audit")]

    operations = [
        migrations.CreateModel(
            name="UnrecordedChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("table", models.CharField(max_length=63)),
                ("operation", models.CharField(max_length=8)),
                ("rows", models.PositiveBigIntegerField(null=True)),
                ("transaction", models.BigIntegerField(null=True)),
                ("role", models.CharField(blank=True, max_length=63)),
            ],
            options={
                "indexes": [models.Index(fields=["transaction"], name="unrecorded_transaction")]
            },
        ),
        migrations.CreateModel(
            name="RefusalTally",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=64)),
                ("minute", models.DateTimeField()),
                ("action", models.CharField(max_length=255)),
                ("repeats", models.PositiveBigIntegerField(default=0)),
                ("facts", models.JSONField()),
            ],
            options={
                "indexes": [models.Index(fields=["minute", "action"], name="refusal_minute")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("key", "minute"), name="refusal_one_tally_a_minute"
                    )
                ],
            },
        ),
    ]
