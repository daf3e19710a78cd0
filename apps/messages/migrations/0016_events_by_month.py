"""Lines of messages' timelines in parts by month; what is there becomes the first part."""

from django.db import migrations

from apps.core.month_parts import table_partition


def partition(_apps, _editor):
    """Turn the table into one of parts; may be run again."""
    table_partition("messages_messageevent")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("messages", "0015_offline_keys")]
    operations = [migrations.RunPython(partition, migrations.RunPython.noop)]
