"""Tenants with client data go on without a quota where the pool had none: from now on new ones have a default."""

from django.conf import settings
from django.db import migrations
from django.db.models import Sum


def quotas_keep(apps, schema_editor):
    if settings.PIECE_QUOTA_BYTES >= 0:
        return  # the operator said what the default is
    quotas = apps.get_model("pieces", "PieceQuota")
    storage = apps.get_model("pieces", "MinerStorage").objects.values("miner__tenant_id")
    for row in storage.annotate(held=Sum("held_bytes")).filter(held__gt=0).order_by("miner__tenant_id"):
        quotas.objects.get_or_create(tenant_id=row["miner__tenant_id"], defaults={"limit_bytes": 0})


class Migration(migrations.Migration):
    dependencies = [("pieces", "0012_leftovers")]

    operations = [migrations.RunPython(quotas_keep, migrations.RunPython.noop)]
