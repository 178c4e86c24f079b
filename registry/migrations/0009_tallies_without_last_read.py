"""A tally said when it was last read, and nobody asked: usage evidence knows."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("registry", "0008_read_only_role")]

    operations = [migrations.RemoveField(model_name="canarytally", name="last_read_at")]
