"""Tickets of F3 are rows before a node is asked to vote by them; and when a node said its instance."""

from django.db import migrations, models
from django.db.models import F
from django.db.models.functions import Now


def leases_reserve(apps, schema_editor):
    """Bind the leases there are to their nodes until their ends; one that is never asked for again goes in a day."""
    apps.get_model("blocks", "F3Lease").objects.update(reserved_until=F("ends"), looked_at=Now())


class Migration(migrations.Migration):
    dependencies = [("blocks", "0001_tables")]

    operations = [
        migrations.AddField("f3lease", "looked_at", models.DateTimeField(null=True)),
        migrations.AddField("f3lease", "reserved_until", models.BigIntegerField(default=-1)),
        migrations.RunPython(leases_reserve, migrations.RunPython.noop),
    ]
