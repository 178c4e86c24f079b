"""PostgreSQL's exclusion constraint: no two active jobs of one node and version overlap."""

from django.db import migrations

from coordinator.exclusion import add_job_exclusion, drop_job_exclusion


class Migration(migrations.Migration):
    dependencies = [("coordinator", "0001_initial")]
    operations = [migrations.RunPython(add_job_exclusion, drop_job_exclusion)]
