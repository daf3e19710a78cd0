"""Hypothesis strategies for every value that a struct's table can hold."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from poolsite.filecoin import kinds
from poolsite.filecoin.actors.label import LABEL
from poolsite.filecoin.address import (
    MAX_ID,
    UNDEF,
    actor_address,
    bls_address,
    delegated_address,
    id_address,
    secp256k1_address,
)
from poolsite.filecoin.bitfield import BITFIELD, bitfield_of_runs
from poolsite.filecoin.cids import cid_of_cbor, commd_cid, commr_cid
from poolsite.filecoin.codec import Struct
from poolsite.filecoin.kinds import Kind
from poolsite.filecoin.signature import SIGNATURE, Signature

UINT64 = st.integers(0, (1 << 64) - 1)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
AMOUNT = st.integers(-(1 << 130), 1 << 130)
COMMITMENT = st.binary(min_size=32, max_size=32).map(lambda b: b[:31] + bytes((b[31] & 0x3F,)))
BYTES = st.binary(max_size=60)

ADDRESS = st.one_of(
    st.integers(0, MAX_ID).map(id_address),
    BYTES.map(secp256k1_address),
    BYTES.map(actor_address),
    st.binary(min_size=48, max_size=48).map(bls_address),
    st.builds(delegated_address, st.integers(0, MAX_ID), st.binary(max_size=54)),
)
CID = st.one_of(BYTES.map(cid_of_cbor), COMMITMENT.map(commr_cid), COMMITMENT.map(commd_cid))
SIGNATURES = st.builds(Signature, st.sampled_from((1, 2, 3)), st.binary(max_size=100))
BITFIELDS = st.lists(st.integers(1, 1 << 40), max_size=12).map(bitfield_of_runs)

LEAVES: dict[str, st.SearchStrategy[Any]] = {
    kinds.UINT64.name: UINT64,
    kinds.INT64.name: INT64,
    kinds.BOOL.name: st.booleans(),
    kinds.TEXT.name: st.text(max_size=20),
    kinds.BYTES.name: BYTES,
    kinds.ADDRESS.name: st.one_of(ADDRESS, st.just(UNDEF)),
    kinds.AMOUNT.name: AMOUNT,
    kinds.CID.name: CID,
    BITFIELD.name: BITFIELDS,
    SIGNATURE.name: SIGNATURES,
    LABEL.name: st.one_of(st.text(max_size=20), BYTES),
}


def values_of_kind(kind: Kind) -> st.SearchStrategy[Any]:
    if kind.of is None:
        return LEAVES[kind.name]
    if isinstance(kind.of, Struct):
        return values_of(kind.of)
    if kind.name.startswith("list of "):
        return st.lists(values_of_kind(kind.of), max_size=3).map(tuple)
    return st.one_of(st.none(), values_of_kind(kind.of))


def values_of(struct: Struct[Any]) -> st.SearchStrategy[Any]:
    """Objects of the struct's class; what JSON leaves out has its zero value."""
    members = {
        field.attr: values_of_kind(field.kind) if field.in_json else st.just(field.kind.zero)
        for field in struct.fields
    }
    return st.builds(struct.cls, **members)
