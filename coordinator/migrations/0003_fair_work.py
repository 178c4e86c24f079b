from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("coordinator", "0002_job_exclusion"),
    ]

    operations = []
