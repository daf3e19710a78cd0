# A miner's one ceiling of the base fee becomes the ceiling of each kind of its batches.

from django.db import migrations
from django.db.models import F

from apps.core.fields import AttoFilField

FIELDS = [f"{kind}_base_fee_max" for kind in ("precommit", "commit", "terminate", "extend", "update")]


def ceiling_copy(apps, schema_editor):
    rows = apps.get_model("sectors", "BatchSettings").objects.exclude(base_fee_max=None)
    rows.update(**{name: F("base_fee_max") for name in FIELDS})


class Migration(migrations.Migration):

    dependencies = [
        ("sectors", "0011_packing_asked"),
    ]

    operations = [
        *(
            migrations.AddField(model_name="batchsettings", name=name, field=AttoFilField(null=True))
            for name in FIELDS
        ),
        migrations.RunPython(ceiling_copy, migrations.RunPython.noop),
        migrations.RemoveField(model_name="batchsettings", name="base_fee_max"),
    ]
