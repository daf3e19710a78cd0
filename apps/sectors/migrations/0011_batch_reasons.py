"""Why a batch was closed: `single`, `timeout` and `deadline`."""

from __future__ import annotations

from django.db import migrations

WORDS = {'lone': 'single', 'waited': 'timeout', 'due': 'deadline'}


def rename(apps, schema_editor):
    batches = apps.get_model('sectors', 'Batch').objects
    for old, new in WORDS.items():
        batches.filter(reason=old).update(reason=new)


def rename_back(apps, schema_editor):
    batches = apps.get_model('sectors', 'Batch').objects
    for old, new in WORDS.items():
        batches.filter(reason=new).update(reason=old)


class Migration(migrations.Migration):
    dependencies = [('sectors', '0010_active_by_deadline')]

    operations = [migrations.RunPython(rename, rename_back, elidable=True)]
