"""Which methods are served under /rpc/v0 and /rpc/v1: where a real node has one of ours, we have it too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from poolsite.devnet.rpc.methods import METHODS_V0, METHODS_V1

GOLDEN = Path(__file__).parents[2] / "golden" / "chain"
LOTUS = json.loads((GOLDEN / "rpc_methods_lotus.json").read_text())
VENUS = json.loads((GOLDEN / "rpc_schema.json").read_text())
OURS = {name.partition(".")[2] for name in {**METHODS_V0, **METHODS_V1}}


@pytest.mark.parametrize(
    ("table", "real"),
    [
        (METHODS_V0, set(LOTUS["v0"]["FullNode"])),
        (METHODS_V1, set(LOTUS["v1"]["FullNode"])),
        (METHODS_V0, set(VENUS["chain_v0"])),
        (METHODS_V1, set(VENUS["chain_v1"])),
    ],
    ids=["lotus v0", "lotus v1", "venus v0", "venus v1"],
)
def test_a_method_of_ours_is_served_under_each_version_that_has_it(table, real):
    served = {name.partition(".")[2] for name in table}

    assert real & OURS - served == set()
    assert len(real & served) > 60
