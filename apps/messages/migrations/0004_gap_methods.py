"""Older gap fillers: those of Ethereum addresses become calls, and all say when they were pushed."""

from django.db import migrations

METHOD_INVOKE_EVM = 3_844_450_837


def methods_set(apps, schema_editor):
    """Set the method as new ones have it: nobody signs such a transfer, and its sender gets no other."""
    waiting = apps.get_model("messages", "Message").objects.filter(state="UNFILLED", kind="gap", method=0)
    waiting.filter(from_addr__regex="^[ft]4").update(method=METHOD_INVOKE_EVM)


def heights_set(apps, schema_editor):
    """Set the height as new ones have it, from their ids: the search asks a node for the blocks since."""
    fillers = apps.get_model("messages", "Message").objects.filter(kind="gap", pushed_height=0)
    for pk in list(fillers.filter(id__regex="^gap:.*:[0-9]+$").order_by().values_list("pk", flat=True)):
        fillers.filter(pk=pk).update(pushed_height=int(pk.rsplit(":", 1)[1]))


class Migration(migrations.Migration):

    dependencies = [
        ('messages', '0003_failed_lately'),
    ]

    operations = [
        migrations.RunPython(methods_set, migrations.RunPython.noop),
        migrations.RunPython(heights_set, migrations.RunPython.noop),
    ]
