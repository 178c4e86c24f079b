from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry", "0006_audit_safety_net")]

    operations = [
        migrations.AddField(
            model_name="node",
            name="live",
            field=models.JSONField(default=dict, help_text="Where the newest bars come from."),
        ),
    ]
