"""A tally said when it was last read, and nobody asked: usage evidence knows."""

from django.db import migrations, models
from django.utils import timezone


class Migration(migrations.Migration):
    dependencies = [("registry", "0008_read_only_role")]

    operations = [
        # Only so that going back finds something to put into the rows that there are.
        migrations.AlterField(
            model_name="canarytally",
            name="last_read_at",
            field=models.DateTimeField(default=timezone.now),
        ),
        migrations.RemoveField(model_name="canarytally", name="last_read_at"),
    ]
