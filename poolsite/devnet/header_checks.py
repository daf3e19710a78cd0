"""Checks of a block by its header and its parent alone: shape, ticket, signature, results, senders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from poolsite.devnet.actors.ledger import SENDER_KINDS, actor_get, address_of, key_address, resolve
from poolsite.filecoin.address import ID, Address
from poolsite.filecoin.election import BadElection, ticket_randomness, vrf_verify
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.gas_estimates import inclusion_gas
from poolsite.filecoin.message import MessageRefused, message_check_for_inclusion
from poolsite.filecoin.signature import BadSignature, signature_verify

if TYPE_CHECKING:
    from poolsite.devnet.baseinfo import BaseInfo
    from poolsite.devnet.executed_tipset import Link
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.block import BlockHeader
    from poolsite.filecoin.message import SignedMessage


class BadBlock(ValueError):
    """A block that no node accepts; the text is lotus' where it is known."""


def refusal_text(check: Callable[[], None]) -> str | None:
    try:
        check()
    except BadBlock as error:
        return str(error)
    return None


def check_shape(header: BlockHeader) -> None:
    """Nothing may be missing.  Source: lotus chain/consensus/filcns/filecoin.go blockSanityChecks."""
    prefix = "incoming header failed basic sanity checks: "
    if header.election_proof is None:
        raise BadBlock(prefix + "block cannot have nil election proof")
    if header.ticket is None:
        raise BadBlock(prefix + "block cannot have nil ticket")
    if header.block_sig is None:
        raise BadBlock(prefix + "block had nil signature")
    if header.bls_aggregate is None:
        raise BadBlock(prefix + "block had nil bls aggregate signature")
    if header.miner.protocol != ID:
        raise BadBlock(prefix + f"block had non-ID miner address {header.miner}")


def check_ticket(header: BlockHeader, parent: Link, info: BaseInfo | None) -> None:
    if info is None or header.ticket is None:
        raise BadBlock("validating block tickets failed")
    last = parent.tipset.min_ticket
    randomness = ticket_randomness(
        info.beacon.data,
        header.height,
        miner=header.miner,
        parent_ticket=b"" if last is None else last.vrf_proof,
    )
    try:
        vrf_verify(info.worker, randomness, header.ticket.vrf_proof)
    except BadElection as error:
        raise BadBlock(f"validating block tickets failed: {error}") from None


def check_signature(header: BlockHeader, info: BaseInfo | None) -> None:
    if info is None or header.block_sig is None:
        raise BadBlock("check block signature failed")
    try:
        signature_verify(header.block_sig, info.worker, header.signing_bytes)
    except BadSignature as error:
        raise BadBlock(f"check block signature failed: {error}") from None


def check_parent_results(header: BlockHeader, parent: Link) -> None:
    if header.parent_base_fee != parent.next_base_fee:
        raise BadBlock(
            f"base fee doesn't match: {header.parent_base_fee} (header) != {parent.next_base_fee} (computed)"
        )
    if header.parent_state_root != parent.root:
        raise BadBlock(
            f"parent state root did not match computed state ({header.parent_state_root} != {parent.root})"
        )
    if header.parent_message_receipts != parent.receipts_root:
        raise BadBlock(
            "parent receipts root did not match computed value "
            f"({header.parent_message_receipts} != {parent.receipts_root})"
        )


def sender_key(state: State, address: Address) -> Address:
    if address.protocol != ID:
        return address
    return key_address(state, address.actor_id) or address_of(state, address.actor_id)


def check_senders(state: State, messages: Sequence[SignedMessage]) -> None:
    """Every message is fit for inclusion, from a proper sender, with the next nonce and funds for its gas."""
    nonces: dict[int, int] = {}
    gas = 0
    for signed in messages:
        message = signed.message
        try:
            message_check_for_inclusion(message, min_gas=inclusion_gas(signed.chain_length))
        except MessageRefused as error:
            raise BadBlock(
                f"block had invalid message {signed.cid}: msg not valid for inclusion: {error}"
            ) from None
        gas += message.gas_limit
        if gas > BLOCK_GAS_LIMIT:
            raise BadBlock("block gas limit exceeded")
        sender_id = resolve(state, message.from_)
        sender = None if sender_id is None else actor_get(state, sender_id)
        if sender_id is None or sender is None:
            raise BadBlock(f"block had invalid message {signed.cid}: failed to load sender actor")
        if sender.kind not in SENDER_KINDS:
            raise BadBlock(f"block had invalid message {signed.cid}: Sender must be an account actor")
        expected = nonces.get(sender_id, sender.nonce)
        if message.nonce != expected:
            raise BadBlock(
                f"block had invalid message {signed.cid}: wrong nonce (exp: {expected}, got: {message.nonce})"
            )
        nonces[sender_id] = expected + 1
