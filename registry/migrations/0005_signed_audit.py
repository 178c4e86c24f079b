from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0004_usage"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=255, unique=True)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="auditevent",
            name="actor_roles",
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name="auditevent",
            name="personal",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AlterField(
            model_name="auditevent",
            name="payload_canonical",
            field=models.TextField(blank=True),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["action"], name="audit_event_action"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["correlation_id"], name="audit_event_correlation"),
        ),
    ]
