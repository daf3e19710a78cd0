"""Signatures and proofs for blocks, asked of the hub from the service's own event loop."""

from __future__ import annotations

import base64
import time
from typing import Any, Final

from apps.core.marked_texts import gettext
from apps.gateway.errors import NoAnswer, NoProvider, ProviderRefused
from apps.gateway.hub.client import HubClient
from apps.gateway.hub.requests import Deadline, HubRequest
from apps.gateway.hub.routes import HOST_MARK, proof_route, wallet_route
from apps.gateway.services.signatures import WalletSignRequest, signature_read
from poolsite.filecoin.address import Address
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.signature import Signature

Json = Any
META_DRAW: Final = "drawrandomparam"
META_BLOCK: Final = "block"


class ProofTimeout(NoAnswer):
    """No prover of the miner answered within the round."""

    code = "proof_timeout"


class ProofRefused(ProviderRefused):
    """The miner's prover said no, or something that is no proof."""

    code = "proof_refused"


def no_prover_text(actor_id: int, account: str) -> str:
    """Return who should have proved and is not there."""
    _, mark, host = account.partition(HOST_MARK)
    if not mark:
        return gettext("no prover of f0{actor_id} is connected").format(actor_id=actor_id)
    if not host:
        return gettext("no host holds the role WinningPoSt of f0{actor_id}").format(actor_id=actor_id)
    return gettext(
        "no prover of f0{actor_id} is connected from {host}, which holds the role WinningPoSt"
    ).format(actor_id=actor_id, host=host)


class BlockProviders:
    """The signer and the prover of a miner, whichever process holds their connections."""

    def __init__(self, hub: HubClient) -> None:
        self.hub = hub

    async def sign(
        self, worker: Address, to_sign: bytes, *, account: str, meta_type: str, until: float
    ) -> Signature:
        """Sign by the worker's key.  Raises SignerAway, SignerRefused."""
        request = WalletSignRequest(str(worker), (account,), to_sign, meta_type)
        hub_request = HubRequest(
            wallet_route(str(worker)), (account,), "WalletSign", request.payload(), is_repeatable=True
        )
        answer: Json
        try:
            answer = await self._request(hub_request, until)
        except (NoProvider, NoAnswer, ProviderRefused) as error:
            answer = error
        read = signature_read(str(worker), answer=answer)
        if isinstance(read, Signature):
            return read
        raise read

    async def prove(
        self, actor_id: int, request: Json, *, account: str, until: float
    ) -> tuple[PoStProof, ...]:
        """Return a WinningPoSt that the miner's prover computed.  Raises ProofTimeout, ProofRefused."""
        hub_request = HubRequest(
            proof_route(actor_id), (account,), "ComputeProof", request, is_repeatable=True
        )
        try:
            answer = await self._request(hub_request, until)
            return tuple(
                PoStProof(int(one["PoStProof"]), base64.b64decode(one["ProofBytes"], validate=True))
                for one in answer
            )
        except NoProvider:
            raise ProofTimeout(no_prover_text(actor_id, account)) from None
        except NoAnswer as error:
            raise ProofTimeout(error.reason) from None
        except ProviderRefused as refusal:
            raise ProofRefused(refusal.reason) from None
        except (TypeError, KeyError, ValueError) as error:
            raise ProofRefused(
                gettext("the prover's response is not a proof: {error!r}").format(error=error)[:200]
            ) from None

    async def _request(self, request: HubRequest, until: float) -> Json:
        """Send it through the hub; who restarts meanwhile is waited for as long as its answer is of use."""
        left_s = until - time.time()
        return await self.hub.request(request, deadline=Deadline(left_s), patience_s=left_s)
