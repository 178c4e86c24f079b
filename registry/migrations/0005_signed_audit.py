from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0004_usage"),
    ]

    operations: list[migrations.operations.base.Operation] = []
