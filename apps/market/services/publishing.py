"""Publishing deals: those of a miner that are due share as few messages as the chain takes.

A deal is in one message at a time.  Message, rows and states are written in one transaction: a process that
is killed leaves all of them or none, and two at once publish nothing twice.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

import structlog
from django.db import transaction

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.isolation import for_each_isolated
from apps.chain.selectors.network import network_current
from apps.core.errors import DomainError, LostRace
from apps.core.reasons import COLON, Reason, as_reason, refused
from apps.market.models import Deal, DealMessage, MinerMarket
from apps.market.onchain import (
    PublishTrial,
    balances_read,
    collateral_read,
    deal_allocation_read,
    publishing_try,
)
from apps.market.reasons import (
    CLIENT_LACKS,
    DATA_GONE,
    DATA_UNREADABLE,
    LEFT_OUT,
    LEFT_OUT_FOR,
    LEFT_OUT_OF,
    MESSAGE_FAILED,
    MESSAGE_GONE,
    MINER_LACKS,
    NO_CONTROL,
    NOT_CARRIED_OUT,
    PUBLISHED_LATE,
    WOULD_FAIL,
)
from apps.market.rules import CONFIRM_EPOCHS, PUBLISH_EPOCHS
from apps.market.selectors.deals import (
    deals_publishing,
    deals_unpublished,
    locks_coming_read,
    market_of,
    publications_recovered,
)
from apps.market.services.follow import deal_fail
from apps.market.services.transfers import deal_move, deal_note, deal_wait
from apps.market.states import DealState
from apps.messages.models import Message
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.push import message_push
from apps.messages.services.receiver_lookup import receiver_kinds_resolve
from apps.messages.services.validate import PARAMS_BYTES_MAX
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.pieces.data.files import is_known_stored
from apps.pieces.services.uploads import piece_fail, piece_release
from apps.pieces.states import PieceState
from apps.sectors.onchain.sectors import trial_message
from apps.sectors.selectors.first_epochs import first_deal_epoch
from apps.sectors.selectors.restored import miners_unrecovered
from poolsite.filecoin.actors.market import (
    ClientDealProposal,
    Method,
    PublishStorageDealsParams,
    PublishStorageDealsReturn,
)
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deals import BadDeal, proposal_check
from poolsite.filecoin.gas import BLOCK_GAS_TARGET
from poolsite.filecoin.message import Message as ChainMessage

log = structlog.get_logger(__name__)

MARKET: Final = "f05"
KIND: Final = "publish"
SOON: Final = 60
"""Epochs: a deal whose sealing must begin within them waits for no others, and for no base fee."""
CLIENT_WAIT: Final = timedelta(days=1)
"""For so long a deal waits whose client's balance, data cap or terms let the chain leave it out."""
DATA_WAIT: Final = timedelta(hours=1)
"""For so long data may be away before they are downloaded again: their disk may be mounted by then."""
MESSAGES_MAX: Final = 5
"""Messages that came to nothing, after which a deal is given up."""
ALL_INVALID: Final = 16
"""Exit code where the actor would leave out every deal.

Source: builtin-actors actors/market/src/lib.rs publish_storage_deals, USR_ILLEGAL_ARGUMENT.
"""
FORBIDDEN: Final = 18
"""Exit code where the sender is neither the miner's worker nor a control address.  Source: the same."""
PARAMS_HEAD_BYTES: Final = 4
"""Most that parameters have before their deals: two heads of arrays."""
GAS_MOST: Final = BLOCK_GAS_TARGET
"""Gas limit of one message at most: blocks are half full where the base fee rests, which leaves it room."""


@dataclass(frozen=True, slots=True)
class Publishing:
    """One miner's deals that wait, and what they are looked at with."""

    miner: Miner
    market: MinerMarket
    client: ChainClient
    head: Head
    now: datetime
    first_epoch: int
    """The first at which the data of a deal that is published now can be active."""
    collaterals: dict[tuple[int, bool], int] = field(default_factory=dict)
    """Least collaterals that were read, by padded size and whether the data are verified."""

    def least_collateral(self, deal: Deal) -> int:
        """Return what the miner must lock at least for a deal, attoFIL."""
        size, is_verified = deal.padded_size, deal.is_verified
        if (size, is_verified) not in self.collaterals:
            self.collaterals[size, is_verified] = collateral_read(
                self.client, size=size, is_verified=is_verified, key=self.head.key
            )
        return self.collaterals[size, is_verified]


def deals_publish(*, client: ChainClient, head: Head, now: datetime) -> None:
    """Note what was published, and publish what is due; what fails with one miner holds up no other."""
    for_each_isolated(
        publications_recovered(),
        lambda pair: publication_recover(pair[0], message=pair[1]),
        event="deal_not_recovered",
    )
    numbers = Numbers()
    for_each_isolated(
        deals_publishing(settled=head.height - CONFIRM_EPOCHS),
        lambda deal: publication_follow(deal, numbers=numbers, client=client, head=head),
        event="deal_not_followed",
    )
    unrecovered = miners_unrecovered()
    for_each_isolated(
        [pair for pair in deals_unpublished().items() if pair[0].pk not in unrecovered],
        lambda pair: miner_publish(pair[0], deals=pair[1], client=client, head=head, now=now),
        event="deals_not_published",
    )


@transaction.atomic
def publication_recover(deal: Deal, *, message: Message) -> None:
    """Write once that a message publishes a deal, as a restored backup may lack it."""
    _, is_new = DealMessage.objects.get_or_create(deal=deal, message=message)
    if is_new:
        deal_move(deal, event="PUBLISH", piece=deal.piece)


@dataclass(slots=True)
class Numbers:
    """Numbers under which landed messages published deals; each message is read once."""

    _found: dict[str, dict[bytes, int]] = field(default_factory=dict)

    def find(self, message: Message, *, deal: Deal) -> int | None:
        """Return the number of a deal; None if the message left it out."""
        if message.pk not in self._found:
            signed = from_cbor(PublishStorageDealsParams, bytes(message.params)).deals
            answer = from_cbor(PublishStorageDealsReturn, bytes(message.return_data))
            places = zip(answer.ids, answer.valid_deals, strict=True)
            self._found[message.pk] = {to_cbor(signed[at]): int(number) for number, at in places}
        return self._found[message.pk].get(bytes(deal.proposal or b""))


def publication_follow(deal: Deal, *, numbers: Numbers, client: ChainClient, head: Head) -> None:
    """Note the number of a published deal, or that its message came to nothing."""
    messages = [row.message for row in deal.messages.all() if row.message is not None]
    for message in messages:
        if not _is_settled(message, head=head) or message.exit_code:
            continue
        number = numbers.find(message, deal=deal)
        if number is not None:
            _land(deal, number=number, client=client, head=head)
            return
    if deal.state != DealState.PUBLISHING:
        return
    reason = _failure(messages[-1] if messages else None, head=head)
    if reason:
        deal_move(deal, event="RETURN", piece=deal.piece, reason=reason)


def _is_settled(message: Message, *, head: Head) -> bool:
    return message.state == MessageState.LANDED and head.height >= message.height + CONFIRM_EPOCHS


def _failure(message: Message | None, *, head: Head) -> Reason | None:
    """Return why a message has not published a deal; None while it may."""
    if message is None:
        return MESSAGE_GONE()
    if message.state in (MessageState.FAILED, MessageState.REPLACED):
        return NOT_CARRIED_OUT(id=message.push_id)
    if not _is_settled(message, head=head):
        return None
    if message.exit_code:
        return MESSAGE_FAILED(id=message.push_id, exit_code=message.exit_code)
    return LEFT_OUT_OF(id=message.push_id)


def _land(deal: Deal, *, number: int, client: ChainClient, head: Head) -> None:
    """Note the number of a published deal, and free its data for a sector."""
    allocation = None
    owner = deal.client_id
    if deal.is_verified:
        allocation = deal_allocation_read(client, deal=number, key=head.key)
        owner = int(client.state_lookup_id(deal.client).removeprefix("f0"))
    with transaction.atomic():
        terms = {"client_id": owner, "allocation": allocation, "chain_deal": number}
        deal_move(deal, event="LAND", piece=deal.piece, columns=terms)
        if deal.piece is not None and deal.piece.state == PieceState.HELD:
            piece_release(deal.piece, deal=number, **deal.terms)
    log.info("deal_published", deal=str(deal.uuid), number=number)


def miner_publish(
    miner: Miner, *, deals: Sequence[Deal], client: ChainClient, head: Head, now: datetime
) -> None:
    """Publish a miner's deals that are due; those that cannot be sealed in time any more fail."""
    work = Publishing(
        miner,
        market_of(miner),
        client,
        head,
        now,
        first_deal_epoch(miner, height=head.height, network=network_current()) + PUBLISH_EPOCHS,
    )
    in_time = [deal for deal in deals if not _given_up(deal, work)]
    if not is_due(in_time, work=work):
        return
    in_time = [deal for deal in in_time if _has_data(deal, now=now)]
    # No transaction waits for the network, and a push asks a node for a kind that is not known yet.
    receiver_kinds_resolve([MARKET], known=receiver_kinds([MARKET]))
    covered = _covered(in_time, work)
    # A deal that lacks money or is left out makes no other one due: else each would go alone.
    batches = _batches(covered, work) if is_due(covered, work=work) else []
    for number, batch in enumerate(batches, 1):
        if is_due(batch, work=work, is_full=number < len(batches)):
            _write(batch, work)


def _has_data(deal: Deal, *, now: datetime) -> bool:
    """Return whether the data of a deal are on the disk; note it if not: it would burn collateral.

    Those that stay away come again from the client's URLs, if these are kept.
    """
    piece = deal.piece
    if piece is not None and is_known_stored(piece):
        return True
    is_noted = DATA_UNREADABLE.made(deal.reason)
    if piece is not None and deal.places and is_noted and now - deal.updated_at >= DATA_WAIT:
        deal_wait(deal, reason=DATA_GONE(), lost_at=now)
        piece_fail(piece, reason=DATA_GONE())
    else:
        deal_note(deal, reason=DATA_UNREADABLE())
    return False


def _given_up(deal: Deal, work: Publishing) -> bool:
    """End a deal that would be sealed after its start, or that several messages have left out.

    Published too late it would cost its collateral; messages cost gas.
    """
    start = deal.start_epoch or 0
    if len(deal.messages.all()) >= MESSAGES_MAX:  # fetched with the deals
        deal_fail(deal, reason=deal.reason)
        return True
    if start > work.first_epoch:
        return False
    late = PUBLISHED_LATE(epoch=start)
    deal_fail(deal, reason=COLON(one=late, other=as_reason(deal.reason)) if deal.reason else late)
    return True


def is_due(deals: Sequence[Deal], *, work: Publishing, is_full: bool = False) -> bool:
    """Return whether deals are published now: there are many, one has waited long, or must be sealed soon."""
    if not deals:
        return False
    first = work.first_epoch
    if min(deal.start_epoch or 0 for deal in deals) - first <= SOON:
        return True
    limit = int(work.market.publish_base_fee)
    if limit and int(work.head.base_fee) > limit:
        return False
    waited = work.now - min(deal.state_since for deal in deals)
    epochs = waited.total_seconds() / network_current().epoch_s
    is_full = is_full or len(deals) >= work.market.publish_most or _count_fit(deals) < len(deals)
    return is_full or epochs >= work.market.publish_wait


def _count_fit(deals: Sequence[Deal]) -> int:
    """Return how many of deals, in order, one message has the bytes for; one at least."""
    sizes = accumulate((len(deal.proposal or b"") for deal in deals), initial=PARAMS_HEAD_BYTES)
    return max(bisect_right(list(sizes), PARAMS_BYTES_MAX) - 1, 1)


def _covered(deals: Sequence[Deal], work: Publishing) -> list[Deal]:
    """Return the deals whose collateral and fee are in both sides' market balances; note it on the others."""
    address = work.miner.address or ""
    parties = [address, *dict.fromkeys(deal.client for deal in deals)]
    free = balances_read(work.client, addresses=parties, key=work.head.key)
    coming = locks_coming_read(work.miner, clients=parties)
    free = {party: amount - coming.get(party, 0) for party, amount in free.items()}
    found = []
    for deal in deals:
        refusal, is_clients = _refusal(deal, work), True
        if not refusal and free[address] < deal.collateral:
            refusal = MINER_LACKS(amount=fil_format(int(deal.collateral) - free[address]))
            is_clients = False
        if not refusal and free[deal.client] < deal.lockup:
            refusal = CLIENT_LACKS(amount=fil_format(int(deal.lockup) - free[deal.client]))
        if refusal:
            _left_out(deal, reason=refusal, work=work, is_clients=is_clients)
            continue
        free[address] -= int(deal.collateral)
        free[deal.client] -= int(deal.lockup)
        found.append(deal)
    return found


def _left_out(deal: Deal, *, reason: Reason, work: Publishing, is_clients: bool = True) -> None:
    """Note why a deal is not published; it fails once its client has left it so for a day."""
    deal_note(deal, reason=reason)
    if is_clients and work.now - deal.updated_at >= CLIENT_WAIT:
        deal_fail(deal, reason=deal.reason)


def _refusal(deal: Deal, work: Publishing) -> Reason | None:
    """Return why the chain would leave a deal out, by its terms alone; None if it would not."""
    least, terms = work.least_collateral(deal), _signed(deal).proposal
    try:
        proposal_check(terms, now=work.head.height, least_collateral=least)
    except BadDeal as bad:
        return LEFT_OUT_FOR(bad=as_reason(str(bad)))
    return None


def _signed(deal: Deal) -> ClientDealProposal:
    read: ClientDealProposal = from_cbor(ClientDealProposal, bytes(deal.proposal or b""))
    return read


def _message(deals: Sequence[Deal], work: Publishing) -> ChainMessage:
    """Return the message that publishes deals."""
    message: ChainMessage = trial_message(
        to=MARKET,
        from_=sender_choose(work.miner, Use.COMMIT).address,
        value=0,
        method=Method.PUBLISH_STORAGE_DEALS,
        params=to_cbor(PublishStorageDealsParams(tuple(_signed(deal) for deal in deals))),
    )
    return message


def _try(deals: Sequence[Deal], work: Publishing) -> PublishTrial:
    return publishing_try(work.client, _message(deals, work), key=work.head.key)


def _batches(deals: Sequence[Deal], work: Publishing) -> list[list[Deal]]:
    """Return the deals of each message, as few messages as the chain takes; each was tried as it is.

    What the chain leaves out makes room for the next ones, and one that it refuses spoils no other.
    """
    batches: list[list[Deal]] = []
    left, most = list(deals), work.market.publish_most
    while left:
        part = left[: min(most, _count_fit(left))]
        trial = _try(part, work)
        if trial.exit_code == FORBIDDEN:
            reason = NO_CONTROL(sender=sender_choose(work.miner, Use.COMMIT).address)
            for deal in left:
                _left_out(deal, reason=reason, work=work, is_clients=False)
            break
        if trial.gas_limit > GAS_MOST and len(part) > 1:
            most = max(len(part) * GAS_MOST // trial.gas_limit, 1)
            continue
        if trial.is_refused:
            codes = _refused_alone(part, trial, work)
            if not codes:  # there are too many
                most = _count_taken(part, work)
                continue
        else:
            codes = {at: ALL_INVALID for at in range(len(part)) if at not in trial.valid}
        if not codes:
            batches.append(part)
            left = left[len(part) :]
            continue
        for at, code in codes.items():
            is_deals = code == ALL_INVALID
            reason = LEFT_OUT() if is_deals else WOULD_FAIL(exit_code=code)
            _left_out(part[at], reason=reason, work=work, is_clients=is_deals)
        left = [deal for at, deal in enumerate(left) if at not in codes]
    return batches


def _refused_alone(deals: Sequence[Deal], trial: PublishTrial, work: Publishing) -> dict[int, int]:
    """Return which of deals fail by themselves, by place, with the exit code; `trial` is that of all."""
    if not trial.is_refused:
        return {}
    if len(deals) == 1:
        return {0: trial.exit_code}
    middle = len(deals) // 2
    first, second = deals[:middle], deals[middle:]
    found = _refused_alone(first, _try(first, work), work)
    others = _refused_alone(second, _try(second, work), work)
    return found | {middle + at: code for at, code in others.items()}


def _count_taken(deals: Sequence[Deal], work: Publishing) -> int:
    """Return how many of deals, in order, the chain takes in one message, where it refuses all of them."""
    counts = range(1, len(deals))
    return max(bisect_left(counts, True, key=lambda count: _try(deals[:count], work).is_refused), 1)


def _published_until(deals: Sequence[Deal], work: Publishing) -> int:
    """Return the last epoch at which publishing leaves time to seal all: later it costs their collateral."""
    return min(deal.start_epoch or 0 for deal in deals) - (work.first_epoch - work.head.height)


def _write(deals: Sequence[Deal], work: Publishing) -> None:
    """Write that deals are in one message, and push it; all or nothing."""
    name = f"{KIND}:{uuid.uuid4()}"
    message = _message(deals, work)
    try:
        with transaction.atomic():
            pushed = message_push(
                principal=miner_principal(work.miner),
                id=name,
                to=MARKET,
                from_=message.from_,
                method=message.method,
                params=message.params,
                kind=KIND,
                expire_epoch=_published_until(deals, work),
            )
            for deal in sorted(deals, key=lambda one: one.pk):
                deal_move(deal, event="PUBLISH", piece=deal.piece)
                DealMessage.objects.create(deal=deal, message=pushed)
    except LostRace:  # another process has published one of them
        return
    except DomainError as refusal:
        for deal in deals:
            deal.refresh_from_db()
            deal_note(deal, reason=refused(refusal))
        return
    log.info("deals_published", message=name, miner=str(work.miner), deals=len(deals))
