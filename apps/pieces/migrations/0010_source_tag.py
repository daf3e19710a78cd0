"""What a source named the bytes that came of a download, so that it goes on from there."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pieces", "0009_quotas")]

    operations = [
        migrations.AddField(
            model_name="piece", name="source_tag", field=models.TextField(blank=True, default="")
        )
    ]
