"""When a piece was removed whose bytes, or whose row, are still to go."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pieces", "0010_source_tag")]

    operations = [
        migrations.AddField(model_name="piece", name="removal_asked_at", field=models.DateTimeField(null=True))
    ]
