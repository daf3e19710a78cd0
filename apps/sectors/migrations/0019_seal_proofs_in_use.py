from django.db import migrations
from django.db.models import F

FIRST_V1_1 = 5


def proofs_replace(apps, schema_editor):
    """Seal sectors that no host has begun as the networks take it; their miners were moved in `miners` 0005."""
    sectors = apps.get_model("sectors", "Sector").objects
    unbegun = sectors.filter(seal_proof__lt=FIRST_V1_1, state="ALLOCATED", job__sticky_worker=None)
    unbegun.exclude(job__state="LEASED").update(seal_proof=F("seal_proof") + FIRST_V1_1)


class Migration(migrations.Migration):
    dependencies = [("sectors", "0018_aborted_precommits")]

    operations = [migrations.RunPython(proofs_replace, migrations.RunPython.noop)]
