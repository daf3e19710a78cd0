"""Give the deals of before the codes of their reasons, by the texts of this version; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "market.late_for_start": "its data did not come before its start epoch {epoch}",
    "market.late": "its data did not come in time",
    "market.addresses_gone": "its data are gone, and its client's URLs are not kept any more",
    "market.data_gone": "its data are gone: they are awaited again",
    "market.chunk_gone": "chunk {number} is gone from the disk: send the data again",
    "market.short_sector": (
        "the miner stores these data already, in a sector that need not live for {duration} "
        "epochs"
    ),
    "market.deals_wait": [
        "{count} deal waits for its data or a sector",
        "{count} deals wait for their data or a sector",
    ],
    "market.client_waits": [
        "{count} deal of this client waits for its data",
        "{count} deals of this client wait for their data",
    ],
    "market.bytes_wait": "{size} bytes wait for a sector",
    "market.quota_full": "the tenant's quota of pieces has no room",
    "market.collateral_short": (
        "its collateral is {collateral}, and the miner's market balance has {free} free beside "
        "what earlier deals need"
    ),
    "market.published_late": "it was not published early enough to be sealed before its start epoch {epoch}",
    "market.miner_lacks": "the miner's market balance lacks {amount}",
    "market.client_lacks": "the client's market balance lacks {amount}",
    "market.left_out_for": "the chain would leave it out: {bad}",
    "market.left_out": (
        "the chain would leave it out: for its signature, its client's data cap, or as it is "
        "published already"
    ),
}


def reasons_code(apps, schema_editor):
    rows_code(apps.get_model("market", "Deal"), "reason", TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("market", "0004_reasons_coded")]

    operations = [migrations.RunPython(reasons_code, migrations.RunPython.noop)]
