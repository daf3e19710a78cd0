"""The JSON objects have the members that Go's own types have, in their order."""

from __future__ import annotations

from typing import Any

import pytest

from poolsite.filecoin import block, message, signature
from poolsite.filecoin.actors import market
from poolsite.filecoin.actors.claims import Claim
from poolsite.filecoin.actors.miner_beneficiary import BeneficiaryTerm, PendingBeneficiaryChange
from poolsite.filecoin.actors.miner_sectors import SectorPreCommitInfo
from poolsite.filecoin.actors.miner_state import SectorOnChainInfo, SectorPreCommitOnChainInfo
from poolsite.filecoin.codec import Struct, struct_of
from poolsite.filecoin.deadlines import ProvingParams, deadline_info, deadline_to_json
from tests.unit.filecoin.golden.files import load

TYPES: dict[str, Struct[Any]] = {
    "crypto.Signature": struct_of(signature.Signature),
    "types.Message": struct_of(message.Message),
    "types.SignedMessage": struct_of(message.SignedMessage),
    "types.MessageReceipt": struct_of(message.Receipt),
    "types.Ticket": struct_of(block.Ticket),
    "types.ElectionProof": struct_of(block.ElectionProof),
    "types.BeaconEntry": struct_of(block.BeaconEntry),
    "proof.PoStProof": struct_of(block.PoStProof),
    "types.BlockHeader": struct_of(block.BlockHeader),
    "types.BlockMsg": struct_of(block.BlockMsg),
    "market.DealProposal": struct_of(market.DealProposal),
    "market.ClientDealProposal": struct_of(market.ClientDealProposal),
    "miner.BeneficiaryTerm": struct_of(BeneficiaryTerm),
    "miner.PendingBeneficiaryChange": struct_of(PendingBeneficiaryChange),
    "miner.SectorPreCommitInfo": struct_of(SectorPreCommitInfo),
    "miner.SectorOnChainInfo": struct_of(SectorOnChainInfo),
    "miner.SectorPreCommitOnChainInfo": struct_of(SectorPreCommitOnChainInfo),
    "verifreg.Claim": struct_of(Claim),
}


def _members(name: str) -> list[str]:
    return [field.split(":")[0].strip() for field in load("rpc_schema")["types"][name]["fields"]]


@pytest.mark.parametrize("name", sorted(TYPES))
def test_members_are_go_s(name: str) -> None:
    ours = [field.json for field in TYPES[name].fields if field.in_json]

    assert ours == [member.split("(")[0].strip() for member in _members(name)]


ZEROES = (
    "crypto.Signature",
    "types.Ticket",
    "types.ElectionProof",
    "types.BeaconEntry",
    "proof.PoStProof",
    "miner.BeneficiaryTerm",
    "miner.PendingBeneficiaryChange",
)
"""Types without a CID, whose zero value Go can print and we can therefore be given."""


@pytest.mark.parametrize("name", ZEROES)
def test_go_s_zero_value_is_read(name: str) -> None:
    zero = load("rpc_schema")["types"][name]["zero_json"]

    assert TYPES[name].to_json(TYPES[name].from_json(zero)) == zero


def test_a_deadline_has_all_of_go_s_members() -> None:
    params = ProvingParams(deadlines=48, window=60, lookback=20, fault_cutoff=70)

    assert list(deadline_to_json(deadline_info(0, 0, 0, params))) == _members("dline.Info")
