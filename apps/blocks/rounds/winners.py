"""How often miners would have won in a span of epochs, drawn again through node and signer.

Source: sophon-miner miner/miningmgr.go CountWinners; its texts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext_noop

from apps.blocks.rounds.draws import election_draw
from apps.blocks.rounds.mining_base import BaseInfo, base_from_json, base_info_from_json
from apps.blocks.rounds.providers import META_DRAW
from apps.blocks.selectors.mining_miners import worker_granted
from apps.chain.node.client import chain_client
from apps.core.errors import BadValue, DomainError
from apps.core.marked_texts import gettext
from apps.gateway.services.signatures import WalletSignRequest, wallet_sign_all
from apps.miners.models import Miner
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.election import win_count
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from poolsite.filecoin.signature import Signature

EPOCHS_MAX: Final = EPOCHS_PER_DAY_MAINNET
"""A day of the main network: each epoch costs two questions and a signature."""
SIGN_S: Final = 60.0
UNREADABLE: Final = (KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class EpochWin:
    """One epoch that was won, or that nobody could draw."""

    epoch: int
    wins: int
    reason: str = ""


@dataclass(slots=True)
class Winner:
    """One miner's wins."""

    miner: str
    epochs: list[EpochWin] = field(default_factory=list)
    reason: str = ""

    @property
    def total(self) -> int:
        """Return the sum of the wins."""
        return sum(one.wins for one in self.epochs)


def winners_count(miner: Miner, *, first: int, last: int) -> Winner:
    """Draw each epoch from `first` + 1 to `last` + 1 again.

    Raises BadValue for epochs that the chain has not reached, or more than EPOCHS_MAX.
    """
    client = chain_client()
    height = client.chain_head().height
    if max(first, last) > height:
        raise BadValue(f"start or end greater than cur tipset height: {height}", field="end")
    if last - first >= EPOCHS_MAX:
        raise BadValue(gettext("at most {limit} epochs at once").format(limit=EPOCHS_MAX), field="end")
    address, epochs = id_address(miner.actor_id or 0), range(first, last + 1)
    found = Winner(str(address))
    tipsets = client.call_many([("ChainGetTipSetByHeight", (epoch, [])) for epoch in epochs])
    keys = [_key(tipset) for tipset in tipsets]
    calls = [
        ("MinerGetBaseInfo", (str(address), epoch + 1, key)) for epoch, key in zip(epochs, keys, strict=True)
    ]
    infos = [_info(answer) for answer in client.call_many(calls)]
    drawn: list[tuple[int, BaseInfo]] = []
    for epoch, info in zip(epochs, infos, strict=True):
        if isinstance(info, str):
            found.epochs.append(EpochWin(epoch + 1, 0, info))
        else:
            drawn.append((epoch + 1, info))
    if drawn and not worker_granted(tenant_id=miner.tenant_id, worker=str(drawn[-1][1].worker)):
        found.reason = gettext_noop("{tenant} has no grant for the worker {worker}").format(
            tenant=miner.tenant.name, worker=drawn[-1][1].worker
        )
        return found
    requests = [
        WalletSignRequest(
            str(info.worker),
            (miner.tenant.name,),
            election_draw(info, address, epoch).to_cbor(),
            META_DRAW,
        )
        for epoch, info in drawn
    ]
    for (epoch, info), answer in zip(drawn, wallet_sign_all(requests, timeout_s=SIGN_S), strict=True):
        if not isinstance(answer, Signature):
            found.epochs.append(EpochWin(epoch, 0, answer.reason))
        elif wins := win_count(answer.data, info.power, info.network_power):
            found.epochs.append(EpochWin(epoch, wins))
    found.epochs.sort(key=lambda one: one.epoch)
    return found


def _key(answer: Any) -> Any:
    if isinstance(answer, DomainError):
        raise answer
    return [cid_to_json(cid) for cid in base_from_json(answer).key.cids]


def _info(answer: Any) -> BaseInfo | str:
    """Return the base info, or why there is none."""
    if isinstance(answer, DomainError):
        return answer.reason
    try:
        info = base_info_from_json(answer)
    except UNREADABLE as error:
        return gettext("the node's base info could not be parsed: {error!r}").format(error=error)[:200]
    if info is None:
        return gettext_noop(
            "can't find base info on chain, it should be a new miner or no sector found before chain finality"
        )
    return info if info.is_eligible else gettext_noop("slashed or just have no power yet")
