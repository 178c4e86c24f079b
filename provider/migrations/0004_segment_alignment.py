from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provider", "0003_artifacts")]

    operations = [
        migrations.AddField(
            model_name="segment",
            name="alignment",
            field=models.CharField(
                blank=True,
                default="",
                help_text="How its rows were put on the grid; empty: they came so.",
                max_length=20,
            ),
            preserve_default=False,
        ),
    ]
