"""Checks of messages, keys and signatures of all three types."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from poolsite.filecoin.address import EAM_NAMESPACE, address_parse, delegated_address
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.codec import from_cbor, from_json, to_cbor
from poolsite.filecoin.election import vrf_verify, win_count
from poolsite.filecoin.ethereum import signing_bytes, transaction_hash, transaction_of, transaction_to_message
from poolsite.filecoin.ethereum_transaction import BadTransaction, transaction_parse
from poolsite.filecoin.keccak import keccak256
from poolsite.filecoin.keys import KeyInfo, key_address, key_export, key_import, key_sign
from poolsite.filecoin.message import (
    SignedMessage,
    message_from_cbor,
    message_from_json,
    message_to_cbor,
    message_to_json,
    signed_message_from_cbor,
    signed_message_from_json,
    signed_message_to_cbor,
    signed_message_to_json,
)
from poolsite.filecoin.randomness import draw_randomness
from poolsite.filecoin.signature import (
    EMPTY_BLS_AGGREGATE,
    Signature,
    bls_aggregate,
    bls_aggregate_verify,
    signature_verify,
)
from poolsite.filecoin.signing import message_sign, message_verify
from poolsite.filecoin.sigtypes import SIG_BLS, SIG_DELEGATED, SIG_SECP256K1
from tests.unit.filecoin.golden.files import alike


def messages_secp(data: Any) -> Iterator[object]:
    for case in data:
        message = message_from_json(case["message"])
        raw = bytes.fromhex(case["cbor"])
        assert message_to_cbor(message) == raw
        assert message_from_cbor(raw) == message
        assert str(message.cid) == case["cid"]
        assert alike(message_to_json(message), case["message"])
        assert len(raw) == case["chain_length"]
        assert str(message.required_funds) == case["required_funds"]
        if "sk" in case:
            _signed_by_secp256k1(case, message)
        yield case


def _signed_by_secp256k1(case: Any, message: Any) -> None:
    key = KeyInfo("secp256k1", bytes.fromhex(case["sk"]))
    assert key_address(key) == message.from_
    digest = hashlib.blake2b(message.cid.data, digest_size=32).digest()
    assert digest.hex() == case["sign_digest"]
    assert key_sign(key, message.cid.data).data.hex() == case["sig_rfc6979"]
    go = Signature(SIG_SECP256K1, bytes.fromhex(case["sig"]))
    signature_verify(go, message.from_, message.cid.data)
    signed = SignedMessage(message, go)
    assert signed_message_to_cbor(signed).hex() == case["signed_cbor"]
    assert signed_message_from_cbor(bytes.fromhex(case["signed_cbor"])) == signed
    assert str(signed.cid) == case["signed_cid"]
    assert signed.chain_length == case["signed_chain_length"]
    assert alike(signed_message_to_json(signed), case["signed_json"])
    assert signed_message_from_json(case["signed_json"]) == signed


def messages_bls(data: Any) -> Iterator[object]:
    senders, payloads, signatures = [], [], []
    for case in data["messages"]:
        message = message_from_json(case["message"])
        assert message_to_cbor(message).hex() == case["cbor"]
        assert str(message.cid) == case["cid"]
        signed = message_sign(KeyInfo("bls", bytes.fromhex(case["sk_le"])), message, chain_id=314)
        assert signed.signature.data.hex() == case["sig"]
        assert signed.cid == message.cid
        message_verify(signed, chain_id=314)
        senders.append(message.from_)
        payloads.append(message.cid.data)
        signatures.append(signed.signature.data)
        yield case
    aggregate = bls_aggregate(signatures)
    assert aggregate.data.hex() == data["aggregate"]
    bls_aggregate_verify(aggregate, senders, payloads)
    yield "aggregate"
    assert EMPTY_BLS_AGGREGATE.hex() == data["empty_aggregate"]
    bls_aggregate_verify(bls_aggregate([]), [], [])
    yield "empty_aggregate"
    for case in data["keys"]:
        key = key_import(case["lotus_export_hex"])
        assert (key.type, key.private_key.hex()) == (case["type"], case["private_key_hex"])
        assert key_export(key) == case["lotus_export_hex"]
        assert key_address(key) == address_parse(case["address"])
        yield case
    for case in data["vrf"]:
        drawn = draw_randomness(
            bytes.fromhex(case["base"]), case["tag"], case["round"], bytes.fromhex(case["entropy"])
        )
        assert drawn.hex() == case["randomness"]
        proof = bytes.fromhex(case["vrf_proof"])
        vrf_verify(address_parse(case["worker"]), drawn, proof)
        assert win_count(proof, 1, 2) == case["win_count_at_50pct"]
        yield case


def messages_delegated(data: Any) -> Iterator[object]:
    chain_id = data["chain_id"]
    for case in data["messages"]:
        message = message_from_json(case["message"])
        assert message_to_cbor(message).hex() == case["cbor"]
        assert str(message.cid) == case["cid"]
        assert signing_bytes(message, chain_id=chain_id).hex() == case["rlp_unsigned"]
        assert keccak256(signing_bytes(message, chain_id=chain_id)).hex() == case["sign_digest"]
        key = KeyInfo("delegated", bytes.fromhex(case["sk"]))
        assert key_address(key) == message.from_
        eth = bytes.fromhex(case["eth_address"][2:])
        assert delegated_address(EAM_NAMESPACE, eth) == message.from_
        go = SignedMessage(message, Signature(SIG_DELEGATED, bytes.fromhex(case["sig"])))
        message_verify(go, chain_id=chain_id)
        message_verify(message_sign(key, message, chain_id=chain_id), chain_id=chain_id)
        assert signed_message_to_cbor(go).hex() == case["signed_cbor"]
        assert str(go.cid) == case["signed_cid"]
        sent = transaction_of(message, go.signature, chain_id=chain_id)
        assert sent.signed_bytes.hex() == case["rlp_signed"]
        assert "0x" + transaction_hash(message, go.signature, chain_id=chain_id).hex() == case["eth_tx_hash"]
        yield case


def eth_transactions(data: Any) -> Iterator[object]:
    chain_id = data["chain_id"]
    for case in data["transactions"]:
        refusal = ""
        try:
            read = transaction_parse(bytes.fromhex(case["raw"]), chain_id=chain_id)
            signed = transaction_to_message(read, chain_id=chain_id)
        except BadTransaction as error:
            refusal = str(error)
        assert refusal == case.get("error", "")
        if refusal:
            yield case
            continue
        again = transaction_of(signed.message, signed.signature, chain_id=chain_id)
        assert again == read
        assert again.unsigned_bytes.hex() == case["unsigned"]
        assert "0x" + again.hash.hex() == case["hash"]
        assert signed_message_to_cbor(signed).hex() == case["signed_message"]
        assert (str(signed.cid), str(signed.message.from_)) == (case["cid"], case["from"])
        message_verify(signed, chain_id=chain_id)
        yield case


def serialization_vectors(data: Any) -> Iterator[object]:
    for case in data["block_headers"]:
        header = from_json(BlockHeader, case["block"])
        assert to_cbor(header).hex() == case["cbor_hex"]
        assert from_cbor(BlockHeader, bytes.fromhex(case["cbor_hex"])) == header
        assert str(header.cid) == case["cid"]
        yield case
    for case in data["message_signing"]:
        message = message_from_json(case["Unsigned"])
        assert message.cid == cid_parse(case["Cid"])
        assert message.cid.data.hex() == case["CidHexBytes"]
        kind = {SIG_BLS: "bls", SIG_SECP256K1: "secp256k1"}[case["Signature"]["Type"]]
        key = KeyInfo(kind, base64.b64decode(case["PrivateKey"]))
        assert key_address(key) == message.from_
        signed = message_sign(key, message, chain_id=314)
        assert signed.signature.data == base64.b64decode(case["Signature"]["Data"])
        message_verify(signed, chain_id=314)
        yield case
    for case in data["unsigned_messages"]:
        message = message_from_json(case["message"])
        assert message_to_cbor(message).hex() == case["hex_cbor"]
        assert message_from_cbor(bytes.fromhex(case["hex_cbor"])) == message
        yield case
