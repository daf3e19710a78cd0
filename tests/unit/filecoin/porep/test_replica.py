from __future__ import annotations

import pytest
from hypothesis import strategies as st

from poolsite.filecoin.porep.replica import (
    prover_id_bytes,
    replica_commitment,
    replica_encode,
    replica_id,
)
from poolsite.filecoin.scalars import SCALAR_MODULUS, BadScalar, scalar_to_bytes
from tests.unit.filecoin.golden_proofs import MINER_ID, SEALED_CASES, golden

SCALARS = st.integers(0, SCALAR_MODULUS - 1).map(scalar_to_bytes)


def test_the_prover_id_is_the_miner_address_payload():
    assert prover_id_bytes(MINER_ID).hex() == "e807" + "00" * 30
    assert prover_id_bytes(0) == bytes(32)


@pytest.mark.parametrize("case", SEALED_CASES)
def test_replica_id_and_comm_r_equal_the_golden_ones(case):
    sealed = golden(f"seal_{case}")
    commitments = {name: bytes.fromhex(sealed[name]) for name in ("ticket", "comm_d", "porep_id")}
    replica = replica_id(prover_id_bytes(MINER_ID), sealed["sector_id"], **commitments)

    assert replica.hex() == sealed["replica_id"]
    comm_c, comm_r_last = bytes.fromhex(sealed["comm_c"]), bytes.fromhex(sealed["comm_r_last"])
    assert replica_commitment(comm_c, comm_r_last).hex() == sealed["comm_r"]


def test_data_that_is_no_scalar_is_not_encoded():
    with pytest.raises(BadScalar):
        replica_encode(bytes(32), b"\xff" * 32)
