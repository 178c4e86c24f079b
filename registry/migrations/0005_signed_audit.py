import json
from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

MOVED = ("reason", "before", "after")
EXPORT_STATES = ["queued", "running", "done", "failed", "expired"]
PERSONAL = ("actor_id", "actor_name", "source")


def move_out(apps: Any, schema_editor: Any) -> None:
    """Payloads and personal fields of records so far go into the tables that may lose rows."""
    for statement in (
        "INSERT INTO registry_auditpayload (event_id, text)"
        " SELECT id, payload_canonical FROM registry_auditevent",
        "INSERT INTO registry_auditpersonal"
        " (event_id, actor_id, actor_name, source, object_id, text)"
        " SELECT id, actor_id, actor_name, source,"
        " CASE WHEN object_type = 'user' THEN object_id ELSE '' END, '' FROM registry_auditevent",
        "UPDATE registry_auditevent SET consumer = CASE WHEN actor_kind = 'consumer'"
        " THEN actor_name WHEN object_type = 'consumer' THEN object_id ELSE '' END,"
        " object_id = CASE WHEN object_type = 'user' THEN '' ELSE object_id END",
    ):
        schema_editor.execute(statement)


def move_back(apps: Any, schema_editor: Any) -> None:
    """What was erased or dropped meanwhile stays empty."""
    event = apps.get_model("registry", "AuditEvent")
    payloads = apps.get_model("registry", "AuditPayload").objects
    personal = apps.get_model("registry", "AuditPersonal").objects
    for payload in payloads.order_by("pk").iterator():
        stated = json.loads(payload.text)
        event.objects.filter(pk=payload.pk).update(
            payload_canonical=payload.text, **{name: stated[name] for name in MOVED}
        )
    for row in personal.order_by("pk").iterator():
        fields = {name: getattr(row, name) for name in PERSONAL}
        if row.object_id:
            fields["object_id"] = row.object_id
        event.objects.filter(pk=row.pk).update(**fields)


def opened_by(name: str) -> Any:
    return models.OneToOneField(
        on_delete=django.db.models.deletion.PROTECT,
        primary_key=True,
        related_name=name,
        serialize=False,
        to="registry.auditevent",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0004_usage"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
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
        migrations.CreateModel(
            name="AuditPayload",
            fields=[("event", opened_by("payload")), ("text", models.TextField())],
        ),
        migrations.CreateModel(
            name="AuditPersonal",
            fields=[
                ("event", opened_by("personal")),
                ("actor_id", models.CharField(blank=True, max_length=255)),
                ("actor_name", models.CharField(blank=True, max_length=255)),
                ("source", models.CharField(blank=True, max_length=255)),
                ("object_id", models.CharField(blank=True, max_length=255)),
                ("text", models.TextField(blank=True)),
            ],
            options={
                "verbose_name_plural": "audit personal fields",
                "indexes": [
                    models.Index(fields=["actor_name", "event"], name="audit_personal_actor"),
                    models.Index(fields=["object_id", "event"], name="audit_personal_object"),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditExport",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("format", models.CharField(max_length=16)),
                ("request", models.JSONField()),
                ("size", models.PositiveBigIntegerField()),
                ("total", models.PositiveBigIntegerField()),
                ("created_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[(state, state.capitalize()) for state in EXPORT_STATES],
                        default="queued",
                        max_length=8,
                    ),
                ),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("heartbeat_at", models.DateTimeField(null=True)),
                ("done", models.PositiveBigIntegerField(default=0)),
                ("finished_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
                ("bytes", models.PositiveBigIntegerField(default=0)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                ("error", models.TextField(blank=True)),
                (
                    "requested_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["state", "id"], name="audit_export_state")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(state__in=EXPORT_STATES),
                        name="audit_export_state_known",
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="auditevent",
            name="consumer",
            field=models.CharField(blank=True, default="", max_length=255),
        ),
        # For the way back: what is removed below comes back empty and is filled by `move_back`.
        migrations.AlterField("auditevent", "reason", models.TextField(blank=True, default="")),
        migrations.AlterField("auditevent", "payload_canonical", models.TextField(default="")),
        *(
            migrations.AlterField(
                "auditevent", name, models.CharField(blank=True, default="", max_length=255)
            )
            for name in PERSONAL
        ),
        migrations.RunPython(move_out, move_back),
        migrations.RemoveIndex("auditevent", "audit_event_actor"),
        migrations.RemoveIndex("auditevent", "audit_event_object"),
        *(
            migrations.RemoveField("auditevent", name)
            for name in (*MOVED, *PERSONAL, "payload_canonical")
        ),
        migrations.AlterField("auditevent", "at", models.DateTimeField()),
        *(
            migrations.AddIndex("auditevent", models.Index(fields=[*fields, "id"], name=name))
            for name, fields in {
                "audit_event_at": ["at"],
                "audit_event_action": ["action"],
                "audit_event_object": ["object_type", "object_id"],
                "audit_event_consumer": ["consumer"],
                "audit_event_request": ["request_id"],
                "audit_event_correlation": ["correlation_id"],
            }.items()
        ),
    ]
