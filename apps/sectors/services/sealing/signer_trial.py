"""Asking the signer of a miner's pre-commits whether it would sign them, before sectors are pledged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.sectors.rules.params import precommit_params, price_info
from apps.users.rules.principals import SYSTEM
from apps.wallets.services.policies import signer_refusal_find
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.sector import RegisteredSealProof

if TYPE_CHECKING:
    from apps.chain.models import Head
    from apps.miners.models import Miner
    from apps.sectors.services.sealing.prices import PledgePrice

GAS: Final = 20_000_000
"""Gas assumed for a pre-commit of one sector; on real chains it used 15 to 18 million."""


def pledge_refusal_find(miner: Miner, *, price: PledgePrice, head: Head) -> str:
    """Return why the pre-commits of a pledge would not be signed; empty if they would, or it has none."""
    if not RegisteredSealProof(miner.seal_proof).is_interactive:
        return ""
    sender = sender_choose(miner, Use.PRE_COMMIT).address
    info = price_info(seal_proof=miner.seal_proof, expiration=head.height + price.life_epochs)
    message = ChainMessage(
        to=address_parse(miner.address),
        from_=address_parse(sender),
        value=AttoFil(price.deposit if price.is_sent else 0),
        gas_limit=GAS,
        gas_fee_cap=AttoFil(2 * int(head.base_fee)),
        method=Method.PRE_COMMIT_SECTOR_BATCH2,
        params=precommit_params([info]),
    )
    return signer_refusal_find(SYSTEM, address=sender, message=message, method="PreCommitSectorBatch2")
