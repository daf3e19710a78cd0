"""Miners that PIECE_RETRIEVAL_MINERS named go on to serve their data: that variable is read no more."""

from django.db import migrations

from poolsite.settings.environment import env_actors


def served_keep(apps, schema_editor):
    markets = apps.get_model("market", "MinerMarket")
    named = env_actors("PIECE_RETRIEVAL_MINERS")
    for miner in apps.get_model("miners", "Miner").objects.filter(actor_id__in=named):
        markets.objects.update_or_create(miner=miner, defaults={"serves_data": True})


class Migration(migrations.Migration):
    dependencies = [("market", "0008_serves_data")]

    operations = [migrations.RunPython(served_keep, migrations.RunPython.noop)]
