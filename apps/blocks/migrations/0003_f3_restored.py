"""After a restore of the database a lease of F3 waits until what nodes may have been given since has ended."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("blocks", "0002_f3_reservations")]

    operations = [
        migrations.AddField("f3lease", "restored_at", models.DateTimeField(null=True)),
        migrations.AddField("f3lease", "restored_until", models.BigIntegerField(null=True)),
    ]
