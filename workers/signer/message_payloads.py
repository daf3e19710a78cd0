"""Messages to be signed: the bytes that a signature covers, and every method that they can call."""

from __future__ import annotations

from poolsite.filecoin.actors.decode import ACTOR_METHODS, actor_kind, form_fits, method_name
from poolsite.filecoin.address import ACTOR, DELEGATED, ID, Address
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.ethereum import is_transfer, signing_bytes
from poolsite.filecoin.ethereum_transaction import BadTransaction
from poolsite.filecoin.message import Message, message_from_cbor
from poolsite.filecoin.policy import NETWORKS
from workers.signer.amounts import amounts_add, gas_cost, payee_of, proposal_of, proposal_text, withdrawal_of
from workers.signer.errors import NotUnderstood
from workers.signer.sign_request import MESSAGE, SignRequest


def message_decode(address: Address, to_sign: bytes, extra: bytes) -> SignRequest:
    """Return the request of a message in `extra`, if the bytes to sign are its own.  Raises NotUnderstood."""
    if not extra:
        raise NotUnderstood("parseObj failed:msg type must contain extra data")
    try:
        message = message_from_cbor(extra)
    except BadCbor as error:
        raise NotUnderstood(f"get sign bytes: parseObj failed:cbor unmarshal:{error}") from None
    if message.from_ != address:
        raise NotUnderstood(f"signer({address}) is not msg sender({message.from_})")
    if to_sign not in _message_payloads(message, address):
        raise NotUnderstood("the bytes to sign are not those of the message in extra")
    return message_request(message, address, payload=to_sign, raw=extra)


def message_request(message: Message, address: Address, *, raw: bytes, payload: bytes = b"") -> SignRequest:
    """Return what a message is and costs; with a proposal to a multisig or a withdrawal goes what they move.

    Raises NotUnderstood.
    """
    proposal, readings = proposal_of(message), message_readings(message)
    withdrawn = withdrawal_of(message, [reading.partition(".")[0] for reading in readings if "." in reading])
    payee = payee_of(message)
    about = f"for {payee}" if payee is not None else ""
    return SignRequest(
        MESSAGE,
        address,
        payload,
        readings=readings,
        to=message.to,
        payee=payee,
        value=amounts_add(message.value, proposal.value if proposal is not None else 0, withdrawn),
        fee_max=gas_cost(message, message.gas_fee_cap),
        premium_max=gas_cost(message, message.gas_premium),
        nonce=message.nonce,
        cid=str(message.cid),
        raw=raw,
        about=proposal_text(proposal) if proposal is not None else about,
    )


def _message_payloads(message: Message, address: Address) -> set[bytes]:
    """Return the bytes that a signature over this message covers, on every network that we know."""
    if address.protocol != DELEGATED:
        return {message.cid.data}
    payloads = set()
    for chain_id in {network.eth_chain_id for network in NETWORKS.values()}:
        try:
            payloads.add(signing_bytes(message, chain_id=chain_id))
        except BadTransaction as error:
            raise NotUnderstood(f"the message is not an Ethereum transaction: {error}") from None
    return payloads


def message_readings(message: Message) -> tuple[str, ...]:
    """Return every method that this message can call.

    The number alone does not say: what an actor is, only the chain knows.  A kind counts if it has the
    method and the parameters decode as its own; so a rule for one kind cannot be used for another.
    Raises NotUnderstood if nothing fits.
    """
    if message.method == 0 or is_transfer(message):
        return ("Send",)
    singleton = actor_kind(message.to)
    kinds: tuple[str, ...] = (singleton,) if singleton else _kinds(message.to)
    readings = tuple(f"{kind}.{method_name(kind, message.method)}" for kind in kinds if _fits(kind, message))
    if not readings:
        raise NotUnderstood(f"method {message.method} of {message.to} with these parameters is unknown")
    return readings


def _kinds(to: Address) -> tuple[str, ...]:
    if to.protocol in (ID, ACTOR):
        return ("miner", "multisig", "paych", "evm", "account")
    return ("account", "evm")


def _fits(kind: str, message: Message) -> bool:
    """Return whether a kind's method takes these parameters, at whatever network version: none is known."""
    spec = ACTOR_METHODS[kind].get(message.method)
    return spec is not None and any(form_fits(form, message.params) for form in spec.forms)
