"""Steps of jobs in parts by month; what is there becomes the first part."""

from django.db import migrations

from apps.core.month_parts import table_partition


def partition(_apps, _editor):
    """Turn the table into one of parts; may be run again."""
    table_partition("sectors_jobevent")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("sectors", "0028_defaults_of_older_versions")]
    operations = [migrations.RunPython(partition, migrations.RunPython.noop)]
