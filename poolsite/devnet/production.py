"""Making blocks: the built-in miner's rounds, and the template-to-block step that any miner may ask for.

Source: lotus miner/miner.go mineOne, chain/consensus/filcns/mine.go CreateBlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poolsite.devnet.beacon import MAX_SALT
from poolsite.filecoin.block import (
    BeaconEntry,
    BlockHeader,
    BlockMsg,
    ElectionProof,
    PoStProof,
    Ticket,
    messages_root,
)
from poolsite.filecoin.election import (
    election_randomness,
    ticket_randomness,
    win_count,
    winning_post_randomness,
)
from poolsite.filecoin.keys import key_sign
from poolsite.filecoin.signature import bls_aggregate
from poolsite.filecoin.sigtypes import SIG_BLS

if TYPE_CHECKING:
    from poolsite.devnet.baseinfo import BaseInfo, BaseInfos
    from poolsite.devnet.beacon import Beacon
    from poolsite.devnet.executed_tipset import Link
    from poolsite.devnet.presealed.sector import PresealedSector
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.keys import KeyInfo
    from poolsite.filecoin.message import SignedMessage


@dataclass(frozen=True, slots=True)
class Template:
    """What a miner decides about its block."""

    miner: Address
    ticket: Ticket | None
    election_proof: ElectionProof | None
    beacon_entries: tuple[BeaconEntry, ...]
    win_post_proof: tuple[PoStProof, ...]
    messages: Sequence[SignedMessage]
    epoch: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class FullBlock:
    """A block with the messages it names."""

    block: BlockMsg
    bls: tuple[SignedMessage, ...]
    secpk: tuple[SignedMessage, ...]


def block_create(template: Template, parent: Link, key: KeyInfo | None) -> FullBlock:
    """Fill in roots, weight, base fee and, with a key, the signature; nothing is checked."""
    bls = tuple(signed for signed in template.messages if signed.signature.type == SIG_BLS)
    secpk = tuple(signed for signed in template.messages if signed.signature.type != SIG_BLS)
    bls_cids = tuple(signed.cid for signed in bls)
    secpk_cids = tuple(signed.cid for signed in secpk)
    header = BlockHeader(
        miner=template.miner,
        ticket=template.ticket,
        election_proof=template.election_proof,
        beacon_entries=template.beacon_entries,
        win_post_proof=template.win_post_proof,
        parents=parent.key.cids,
        parent_weight=parent.weight,
        height=template.epoch,
        parent_state_root=parent.root,
        parent_message_receipts=parent.receipts_root,
        messages=messages_root(bls_cids, secpk_cids),
        bls_aggregate=bls_aggregate([signed.signature.data for signed in bls]),
        timestamp=template.timestamp,
        block_sig=None,
        fork_signaling=0,
        parent_base_fee=parent.next_base_fee,  # type: ignore[arg-type]  # an amount
    )
    if key is not None:
        header = replace(header, block_sig=key_sign(key, header.signing_bytes))
    return FullBlock(BlockMsg(header, bls_cids, secpk_cids), bls, secpk)


class BuiltInMiner:
    """f01000: tries its luck at each epoch with its own key and its pre-sealed sector."""

    def __init__(
        self,
        address: Address,
        key: KeyInfo,
        *,
        sector: PresealedSector,
        base_infos: BaseInfos,
        beacon: Beacon,
    ) -> None:
        self.address = address
        self.key = key
        self.sector = sector
        self.base_infos = base_infos
        self.beacon = beacon

    def round(
        self, parent: Link, epoch: int, *, messages: Sequence[SignedMessage], timestamp: int
    ) -> FullBlock | None:
        """Return the block of this epoch, None if the election was lost."""
        won = self._elect(parent, epoch)
        if won is None:
            return None
        info, proof = won
        last = parent.tipset.min_ticket
        drawn = ticket_randomness(
            info.beacon.data,
            epoch,
            miner=self.address,
            parent_ticket=b"" if last is None else last.vrf_proof,
        )
        seed = winning_post_randomness(info.beacon.data, epoch, self.address)
        post = PoStProof(self.sector.winning_proof, self.sector.winning_post(seed))
        template = Template(
            miner=self.address,
            ticket=Ticket(key_sign(self.key, drawn).data),
            election_proof=proof,
            beacon_entries=info.entries,
            win_post_proof=(post,),
            messages=messages,
            epoch=epoch,
            timestamp=timestamp,
        )
        return block_create(template, parent, self.key)

    def _elect(self, parent: Link, epoch: int) -> tuple[BaseInfo, ElectionProof] | None:
        """Draw the lot; where salts are allowed, until it wins."""
        salts = range(MAX_SALT + 1) if self.beacon.salted else range(1)
        entries = self.beacon.entries(parent.height, epoch)
        for salt in salts:
            if salt:
                entries = (*entries[:-1], self.beacon.entry(epoch, salt))
            info = self.base_infos.get(self.address.actor_id, epoch, parent.tipset, entries=entries)
            if info is None or not info.is_eligible:
                return None
            drawn = election_randomness(info.beacon.data, epoch, self.address)
            vrf = key_sign(self.key, drawn).data
            wins = win_count(vrf, info.power.quality, info.total.quality)
            if wins:
                return info, ElectionProof(wins, vrf)
        return None
