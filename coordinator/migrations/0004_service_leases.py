"""Service leases: whose metrics they count in, and how lists and scrapes find them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("coordinator", "0003_fair_work"),
        ("registry", "0005_signed_audit"),
    ]

    operations = [
        migrations.AddField(
            model_name="servicelease",
            name="node",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="registry.node",
            ),
        ),
        migrations.AddIndex(
            model_name="servicelease",
            index=models.Index(fields=["holder", "id"], name="coordinator_holder_fa5d37_idx"),
        ),
        migrations.AddIndex(
            model_name="servicelease",
            index=models.Index(fields=["updated_at"], name="coordinator_updated_bb0c19_idx"),
        ),
    ]
