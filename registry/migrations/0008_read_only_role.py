"""The role of somebody who reads what their team does and changes nothing."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0007_node_live"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="membership",
            name="membership_role_known",
        ),
        migrations.AlterField(
            model_name="membership",
            name="role",
            field=models.CharField(
                choices=[
                    (
                        "owner",
                        "Owner: proposes schemas, manages the team's subjects, bundles and nodes",
                    ),
                    ("reviewer", "Reviewer: approves or rejects proposals and promotions"),
                    ("consumer_admin", "Consumer admin: manages the team's consumers and tokens"),
                    ("auditor", "Auditor: reads everything, changes nothing"),
                    ("operator", "Operator: runs backfills and leases"),
                    (
                        "read_only",
                        "Read-only: reads what the team owns, offers or reads; changes nothing",
                    ),
                ],
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "role__in",
                        ["owner", "reviewer", "consumer_admin", "auditor", "operator", "read_only"],
                    )
                ),
                name="membership_role_known",
            ),
        ),
    ]
