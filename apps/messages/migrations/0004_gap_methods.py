"""Gap fillers of Ethereum addresses that wait become calls: a transfer of theirs is signed by nobody."""

from django.db import migrations

METHOD_INVOKE_EVM = 3_844_450_837


def methods_set(apps, schema_editor):
    """Set the method as new ones have it: while one waits, its sender gets no other."""
    waiting = apps.get_model("messages", "Message").objects.filter(state="UNFILLED", kind="gap", method=0)
    waiting.filter(from_addr__regex="^[ft]4").update(method=METHOD_INVOKE_EVM)


class Migration(migrations.Migration):

    dependencies = [
        ('messages', '0003_failed_lately'),
    ]

    operations = [
        migrations.RunPython(methods_set, migrations.RunPython.noop),
    ]
