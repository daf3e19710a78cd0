"""Who paused a sector, which files keep it, and which messages were withdrawn: no more read out of texts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sectors", "0022_turns")]

    operations = [
        migrations.AddField(
            model_name="sector",
            name="paused_by",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AddField(
            model_name="sector",
            name="bad_store",
            field=models.CharField(blank=True, db_default="", default="", max_length=110),
        ),
        migrations.AddField(
            model_name="jobevent",
            name="is_withdrawn",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
