"""Older gap fillers say when they were pushed.

A pool may have recorded 0004 before that was a part of it.
"""

from django.db import migrations


def heights_set(apps, schema_editor):
    """Set the height as new ones have it, from their ids: the search asks a node for the blocks since."""
    fillers = apps.get_model("messages", "Message").objects.filter(kind="gap", pushed_height=0)
    for pk in list(fillers.filter(id__regex="^gap:.*:[0-9]+$").order_by().values_list("pk", flat=True)):
        fillers.filter(pk=pk).update(pushed_height=int(pk.rsplit(":", 1)[1]))


class Migration(migrations.Migration):

    dependencies = [
        ('messages', '0006_kinds_of_rules'),
    ]

    operations = [
        migrations.RunPython(heights_set, migrations.RunPython.noop),
    ]
