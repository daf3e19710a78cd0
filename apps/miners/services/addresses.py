"""Which addresses send for a miner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from apps.core.live import Change, publish
from apps.miners.models import Miner, MinerAddress
from apps.miners.services.create import to_address
from poolsite.filecoin.address import address_format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.miners.states import Use
    from poolsite.filecoin.address import Address


@transaction.atomic
def miner_addresses_set(miner: Miner, *, use: Use, addresses: Sequence[Address | str]) -> None:
    """Set which addresses send for a use, replacing the earlier ones; none means the worker."""
    Miner.objects.select_for_update().get(pk=miner.pk)
    miner.uses.filter(use=use).delete()
    keys = dict.fromkeys(address_format(to_address(one)) for one in addresses)
    MinerAddress.objects.bulk_create(MinerAddress(miner=miner, use=use, address=key) for key in keys)
    publish(Change("miner", miner.pk, miner.tenant_id))
