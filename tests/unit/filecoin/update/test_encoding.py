from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.scalars import SCALAR_MODULUS, scalar_to_bytes
from poolsite.filecoin.update.encoding import (
    update_decode,
    update_encode,
    update_phi,
    update_remove,
    update_rho,
)
from tests.unit.filecoin.golden_proofs import golden

NODES = st.integers(0, SCALAR_MODULUS - 1).map(scalar_to_bytes)
CASES = {"2k_v1_1": 64, "16k_sub8": 512, "8m_v1_1": 1 << 18}


@pytest.mark.parametrize("case", CASES)
def test_phi_and_rho_equal_the_golden_ones(case):
    expected, nodes = golden(f"seal_{case}")["update"], CASES[case]
    phi = update_phi(bytes.fromhex(expected["comm_d_new"]), bytes.fromhex(expected["comm_r_old"]))
    second = nodes >> expected["h"]
    rhos = [update_rho(phi, node, nodes=nodes, high_bits=expected["h"]) for node in (0, second)]

    assert scalar_to_bytes(phi).hex() == expected["phi"]
    assert [scalar_to_bytes(rho).hex() for rho in rhos] == [expected["rho_0"], expected["rho_1"]]


@given(sector_key=NODES, data=NODES, rho=st.integers(1, SCALAR_MODULUS - 1))
def test_data_and_key_come_back_from_the_replica(sector_key, data, rho):
    replica = update_encode(sector_key, data, rho=rho)

    assert update_decode(sector_key, replica, rho=rho) == data
    assert update_remove(replica, data, rho=rho) == sector_key
