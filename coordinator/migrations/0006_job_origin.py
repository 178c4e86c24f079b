"""Jobs say where their rows come from: all there are come from sources."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("coordinator", "0005_traceparent"),
        ("registry", "0007_node_live"),
    ]

    operations = [
        migrations.AddField(
            model_name="backfilljob",
            name="origin",
            field=models.CharField(
                choices=[("source", "source"), ("live", "live")],
                default="source",
                help_text="Whether rows come from the node's source or its live feed.",
                max_length=10,
            ),
        ),
    ]
