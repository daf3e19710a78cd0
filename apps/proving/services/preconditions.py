"""What must hold for a window's proof to land, checked before: host, store, signer, money, head."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from apps.chain.selectors.status import chain_status_of
from apps.core.formatting import fil
from apps.core.reasons import Reason, as_reason
from apps.gateway.selectors.connections import keys_served
from apps.messages.models import Message, Sender
from apps.messages.states import SenderState
from apps.miners.models import Miner
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.proving.models import Deadline
from apps.proving.reasons import (
    ADDRESS_STOPPED,
    BALANCE_LOW,
    HEAD_OLD,
    NO_PROVER_ASSIGNED,
    NO_SIGNER,
    NONCE_GAP,
    POLICY_REFUSES,
    STORE_WITHOUT_PROVER,
    STORES_ON_NO_PROVER,
)
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.offers import provers_in_charge_list
from apps.sectors.models import Worker
from apps.wallets.models import Wallet
from apps.wallets.services.policies import policy_refusal_find
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_proving import PoStPartition, SubmitWindowedPoStParams
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.bitfield import BitField
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.message import Message as ChainMessage

GAS_FIRST: Final = 30_000_000
"""Taken for the first proof of a miner: on real chains one of a partition used 20 to 24 million."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a miner has for its next proofs."""

    provers: Sequence[Worker]
    """In charge of its WindowPoSt, with a recent heartbeat and a form of proof that the network accepts."""
    unmet: dict[str, Reason]
    """By the precondition's name, why it does not hold."""
    refusal: str = ""
    """Why the signer's policy, with today's sums, would refuse the next proof; empty if it would not."""


def readiness_check(
    miner: Miner, *, context: ProvingContext, answering: Collection[str] | None = None
) -> Readiness:
    """Check what is the same for all deadlines of a miner.

    `answering`: the keys whose signers may be asked for a verdict, as they just answered; None: all.
    """
    provers = provers_in_charge_list(miner, context=context)
    unmet = {}
    if not provers:
        unmet["host"] = NO_PROVER_ASSIGNED()
    sender = sender_choose(miner, Use.POST).address
    refusal = ""
    if not keys_served(miner.tenant.name, [sender]):
        unmet["signer"] = NO_SIGNER(sender=sender)
    elif answering is None or sender in answering:
        refusal = policy_refusal_find(address=sender, message=_proof_like(miner, sender, context=context))
    need, balance = _gas_needed(miner, context=context), _balance(sender)
    if balance is not None and balance < need:
        unmet["balance"] = BALANCE_LOW(sender=sender, balance=fil(balance), need=fil(need))
    status = chain_status_of(context.head, network=context.network, at=context.now)
    if status is not None and status.tone != "ok":
        unmet["head"] = HEAD_OLD(word=status.word, old_s=round(status.old_s))
    row = Sender.objects.filter(address=sender).first()
    if row is not None and row.state == SenderState.FORBIDDEN:
        unmet["sender"] = ADDRESS_STOPPED(sender=sender)
    if row is not None and row.gap_nonce is not None:
        unmet["nonce"] = NONCE_GAP(sender=sender, gap=row.gap_nonce)
    return Readiness(provers, unmet, refusal)


def _proof_like(miner: Miner, sender: str, *, context: ProvingContext) -> ChainMessage:
    """Return a message like that of the next proof, with fees as `_gas_needed` counts them."""
    gas, fee_cap, premium = _gas_likely(miner, context=context)
    params = SubmitWindowedPoStParams(
        deadline=0,
        partitions=(PoStPartition(0, BitField()),),
        proofs=(PoStProof(0, b""),),
        chain_commit_epoch=max(context.head.height - 1, 0),
        chain_commit_rand=bytes(32),
    )
    return ChainMessage(
        to=address_parse(miner.address),
        from_=address_parse(sender),
        gas_limit=gas,
        gas_fee_cap=AttoFil(fee_cap),
        gas_premium=AttoFil(min(premium, fee_cap)),
        method=Method.SUBMIT_WINDOWED_POST,
        params=to_cbor(params),
    )


def _gas_needed(miner: Miner, *, context: ProvingContext) -> int:
    """Return what the next proof may cost: the last one's gas at twice the base fee."""
    gas, fee_cap, _ = _gas_likely(miner, context=context)
    return gas * fee_cap


def _gas_likely(miner: Miner, *, context: ProvingContext) -> tuple[int, int, int]:
    """Return gas limit, fee cap and premium of the next proof: the last one's, at twice the base fee."""
    last = Message.objects.filter(to=miner.address, kind="window_post", gas_limit__gt=0).order_by(
        "-created_at"
    )
    found = last.values_list("gas_limit", "gas_fee_cap", "gas_premium").first()
    gas, fee_cap, premium = (GAS_FIRST, 0, 0) if found is None else map(int, found)
    return gas, max(fee_cap, 2 * int(context.head.base_fee)), premium


def _balance(address: str) -> int | None:
    found = Wallet.objects.filter(address=address).values_list("balance", flat=True).first()
    return None if found is None else int(found)


def unmet_preconditions_find(deadline: Deadline, *, readiness: Readiness) -> dict[str, Reason]:
    """Return what a deadline lacks: what its miner lacks, and stores that no host in charge has.

    One host makes a proof of all its sectors: two that have a part of the stores each can make none of it.
    """
    unmet = dict(readiness.unmet)
    if readiness.refusal:
        unmet["policy"] = POLICY_REFUSES(index=deadline.index, reason=as_reason(readiness.refusal))
    lacking = [set(deadline.stores) - set(prover.stores) for prover in readiness.provers]
    if not lacking or not all(lacking):
        return unmet
    if missing := set.intersection(*lacking):
        unmet["store"] = STORE_WITHOUT_PROVER(missing=", ".join(sorted(missing)))
    else:
        unmet["store"] = STORES_ON_NO_PROVER(stores=", ".join(sorted(deadline.stores)))
    return unmet
