"""Deals: the terms that the storage market takes, what each side locks, and what is paid when.

The client locks the whole fee and its collateral when the deal is published, the provider its collateral.
From the start the fee falls to the provider epoch by epoch; SettleDealPayments, which anybody may send, pays
it, as cron does not any more (FIP-0074).

Source: builtin-actors actors/market/src/{policy,deal,lib,state}.rs, runtime/src/runtime/policy.rs; FIP-0052
(longest duration).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.label import MAX_LABEL_LEN
from poolsite.filecoin.amounts import TOTAL_FILECOIN
from poolsite.filecoin.cids import COMMD_PREFIX, Cid, cid_of_cbor
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET

if TYPE_CHECKING:
    from poolsite.filecoin.actors.market import DealProposal

MIN_DURATION: Final = 180 * EPOCHS_PER_DAY_MAINNET
"""Shortest deal in epochs."""
MAX_DURATION: Final = 1278 * EPOCHS_PER_DAY_MAINNET
"""Longest deal in epochs."""
UPDATE_INTERVAL: Final = 30 * EPOCHS_PER_DAY_MAINNET
"""Epochs of the grid on which the market's cron processes deals."""
TERM_BUFFER: Final = 90 * EPOCHS_PER_DAY_MAINNET
"""How much longer than the deal an allocation for it may be stored, in epochs."""
MIN_PIECE_BYTES: Final = 128
"""Smallest padded piece."""
SUPPLY_SHARE: Final = (1, 100)
"""Share of the circulating supply that the collateral of the whole network's data would be."""
UNDEFINED_EPOCH: Final = -1
"""An event that has not happened."""
DEAL_EXPIRED: Final = 32
"""Exit code of the market actor: it has the deal no more.  Source: builtin-actors EX_DEAL_EXPIRED."""


class BadDeal(ValueError):
    """A proposal that the market drops."""


def deal_duration(proposal: DealProposal) -> int:
    """Return the epochs from start to end."""
    return proposal.end_epoch - proposal.start_epoch


def storage_fee(proposal: DealProposal) -> int:
    """Return what the whole deal costs the client, attoFIL."""
    return proposal.storage_price_per_epoch * deal_duration(proposal)


def client_lockup(proposal: DealProposal) -> int:
    """Return what the client needs free in escrow when the deal is published, attoFIL."""
    return storage_fee(proposal) + proposal.client_collateral


def deal_cid(proposal: DealProposal) -> Cid:
    """Return the CID of a proposal."""
    return cid_of_cbor(to_cbor(proposal))


def collateral_least(size: int, *, raw_power: int, baseline: int, circulating: int) -> int:
    """Return the lowest provider collateral of a piece of `size` padded bytes, attoFIL, rounded down.

    `SUPPLY_SHARE` of the circulating supply, times the piece's share of the network: of its raw power, or of
    the baseline where that is more.  `raw_power` and `baseline` are in bytes.  Source: policy.rs
    deal_provider_collateral_bounds.
    """
    numerator, denominator = SUPPLY_SHARE
    network_bytes = max(raw_power, baseline, size)
    return size * circulating * numerator // (network_bytes * denominator)


def proposal_check(proposal: DealProposal, *, now: int, least_collateral: int) -> None:
    """Raise BadDeal with the actor's text if a proposal's terms are not allowed.

    Its signature is not checked here.
    """
    label = proposal.label
    length = len(label.encode()) if isinstance(label, str) else len(label)
    if length > MAX_LABEL_LEN:
        raise BadDeal(f"deal label can be at most {MAX_LABEL_LEN} bytes, is {length}")
    if proposal.piece_size < MIN_PIECE_BYTES or proposal.piece_size.bit_count() != 1:
        raise BadDeal(f"proposal piece size is invalid: {proposal.piece_size}")
    if not proposal.piece_cid.data.startswith(COMMD_PREFIX):
        raise BadDeal("proposal PieceCID undefined")
    if proposal.end_epoch <= proposal.start_epoch:
        raise BadDeal("proposal end before proposal start")
    if now > proposal.start_epoch:
        raise BadDeal("Deal start epoch has already elapsed.")
    if not MIN_DURATION <= deal_duration(proposal) <= MAX_DURATION:
        raise BadDeal("Deal duration out of bounds.")
    if not 0 <= proposal.storage_price_per_epoch <= TOTAL_FILECOIN:
        raise BadDeal("Storage price out of bounds.")
    if not least_collateral <= proposal.provider_collateral <= TOTAL_FILECOIN:
        raise BadDeal("Provider collateral out of bounds.")
    if not 0 <= proposal.client_collateral <= TOTAL_FILECOIN:
        raise BadDeal("Client collateral out of bounds.")


def payment_due(proposal: DealProposal, *, paid_until: int, until: int) -> int:
    """Return the price of the epochs after `paid_until` and the start, up to `until` and the end, attoFIL."""
    first = max(paid_until, proposal.start_epoch)
    last = min(until, proposal.end_epoch)
    return proposal.storage_price_per_epoch * max(last - first, 0)


def payment_refundable(proposal: DealProposal, *, ended: int) -> int:
    """Return what a client gets back of the fee when a deal ends early at `ended`, attoFIL."""
    first = max(ended, proposal.start_epoch)
    return proposal.storage_price_per_epoch * max(proposal.end_epoch - first, 0)


def update_epoch(number: int, earliest: int) -> int:
    """Return the first epoch from `earliest` on at which the market's cron processes deal `number`.

    Each deal has its own place in the interval, by its number, so that cron's work is spread evenly over the
    epochs.  Source: lib.rs next_update_epoch.
    """
    offset = number % UPDATE_INTERVAL
    if earliest <= offset:
        return offset
    return offset + -(-(earliest - offset) // UPDATE_INTERVAL) * UPDATE_INTERVAL
