"""Give deals of before their price, and those that are active or ended what they earn; in small steps, repeatable."""

from django.db import migrations, transaction
from django.db.models import F

from poolsite.filecoin.actors.market import ClientDealProposal
from poolsite.filecoin.codec import from_cbor

EPOCHS_PER_DAY = 2880


def earnings_note(apps, schema_editor):
    Deal, Income = apps.get_model("market", "Deal"), apps.get_model("market", "DealIncome")
    old = Deal.objects.filter(proposal__isnull=False, price=0)
    for key in old.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=1000):
        with transaction.atomic():
            deal = Deal.objects.select_for_update(of=("self",)).get(pk=key)
            price = int(from_cbor(ClientDealProposal, bytes(deal.proposal)).proposal.storage_price_per_epoch)
            if not price or deal.price:
                continue
            deal.price = price
            if deal.state in ("ACTIVE", "ENDED") and deal.earns_from is None and deal.start_epoch is not None:
                deal.earns_from = deal.settled_to = deal.start_epoch
                deal.earns_until, deal.settled_at = deal.start_epoch + deal.duration, 0
                for epoch, rate in ((deal.earns_from, price), (deal.earns_until, -price)):
                    row, _ = Income.objects.get_or_create(miner_id=deal.miner_id, day=epoch // EPOCHS_PER_DAY)
                    Income.objects.filter(pk=row.pk).update(
                        rate=F("rate") + rate, moment=F("moment") + rate * epoch
                    )
            deal.save()


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("market", "0018_deals_to_settle")]

    operations = [migrations.RunPython(earnings_note, migrations.RunPython.noop)]
