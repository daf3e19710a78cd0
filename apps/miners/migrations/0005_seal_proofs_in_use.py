from django.db import migrations
from django.db.models import F

FIRST_V1_1 = 5


def proofs_replace(apps, schema_editor):
    """Seal as the networks take it where a venus node had named V1, which they refuse, of the same size."""
    miners = apps.get_model("miners", "Miner").objects
    miners.filter(seal_proof__lt=FIRST_V1_1).update(seal_proof=F("seal_proof") + FIRST_V1_1)


class Migration(migrations.Migration):

    dependencies = [
        ('miners', '0004_works_from'),
    ]

    operations = [
        migrations.RunPython(proofs_replace, migrations.RunPython.noop),
    ]
