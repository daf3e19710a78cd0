"""A WinningPoSt that is asked for as a trial: of one active sector, with randomness that no block needs.

Source: filecoin-project/venus venus-shared/types/gateway/proof_event.go ComputeProofRequest.
"""

from __future__ import annotations

import base64
import secrets
from typing import Any

from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core.marked_texts import gettext
from apps.proving.errors import NothingToProve
from apps.sectors.models import Sector
from apps.users.rules.principals import Principal
from poolsite.filecoin.cids import cid_to_json, commr_cid


def trial_request(viewer: Principal, *, actor_id: int) -> dict[str, Any]:
    """Return the request for the miner's first active sector as JSON.  Raises NothingToProve."""
    rows = (
        Sector.objects.filter(miner__actor_id=actor_id, active=True).exclude(comm_r=None).order_by("number")
    )
    sector = (rows if viewer.is_operator else rows.filter(miner__tenant_id=viewer.own_id)).first()
    head = head_current()
    if sector is None or sector.comm_r is None or head is None:
        raise NothingToProve(
            gettext("f0{actor_id} has no active sector that can be proved").format(actor_id=actor_id)
        )
    randomness = secrets.token_bytes(31) + b"\x00"  # a field element, as the chain's randomness is
    return {
        "SectorInfos": [
            {
                "SealProof": sector.seal_proof,
                "SectorNumber": sector.number,
                "SectorKey": None,
                "SealedCID": cid_to_json(commr_cid(bytes(sector.comm_r))),
            }
        ],
        "Rand": base64.b64encode(randomness).decode(),
        "Height": head.height,
        "NWVersion": network_current().network_version,
    }
