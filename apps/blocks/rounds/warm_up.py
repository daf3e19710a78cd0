"""Warm-up: the way of a win with a throw-away challenge, before the first real one.

The node is asked for the miner's base info, the signer for a VRF, the prover for a WinningPoSt, each timed,
and a node that signs its blocks itself, as lotus does, whether it has the worker's key.
No header is signed: nothing takes a signed header back.
Source: sophon-miner miner/warmup.go, which has the proof alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from apps.blocks.errors import WarmUpFailed
from apps.blocks.rounds.draws import election_draw
from apps.blocks.rounds.mining_base import BaseInfo, base_from_json, base_info_from_json
from apps.blocks.rounds.nodes import NO_KEY_ADVICE
from apps.blocks.rounds.providers import META_DRAW
from apps.blocks.selectors.mining_miners import worker_granted
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import ChainClient, chain_client
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.marked_texts import gettext
from apps.gateway.errors import SignerRefused
from apps.gateway.hub.blocking_client import requests_send
from apps.gateway.hub.requests import HubRequest
from apps.gateway.hub.routes import proof_route
from apps.gateway.services.connection_test import prover_proof_check
from apps.gateway.services.signatures import wallet_sign
from apps.miners.models import Miner
from apps.miners.selectors.winning_hosts import winning_account
from apps.proving.errors import NothingToProve
from apps.proving.selectors.winning_post_test import trial_request
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.election import BadElection, vrf_verify

PROOF_S: Final = 120.0
SIGN_S: Final = 20.0


@dataclass(slots=True)
class WarmUp:
    """What a warm-up showed."""

    steps: list[tuple[str, int]] = field(default_factory=list)
    """Steps that succeeded, with their milliseconds."""
    failed: str = ""
    """The step that did not; empty if all did."""
    reason: str = ""

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """Do one step.  Raises WarmUpFailed."""
        started = time.monotonic()
        try:
            result = work()
        except DomainError as error:
            self.failed, self.reason = name, error.reason
            raise WarmUpFailed(f"{name}: {error.reason}") from None
        self.steps.append((name, int((time.monotonic() - started) * 1000)))
        return result


def warm_up(miner: Miner, *, viewer: Principal) -> WarmUp:
    """Go the way of a win; return where it ended.  Raises NothingToProve without an active sector."""
    actor_id = miner.actor_id
    if actor_id is None:
        raise NothingToProve(gettext("the miner is not on chain yet"))
    done = WarmUp()
    request = trial_request(viewer, actor_id=actor_id)
    try:
        info, epoch = done.step("base_info", lambda: base_info_of(actor_id))
        done.step("election", lambda: _vrf(miner, info, epoch))
        answer = done.step("proof", lambda: _proof(miner, request))
        done.step("verify", lambda: _verify(miner, request, answer))
        done.step("node_key", lambda: _node_key(info))
    except WarmUpFailed:
        pass  # the result names the step and the reason
    return done


def base_info_of(actor_id: int) -> tuple[BaseInfo | None, int]:
    """Return what the miner would know at the next epoch, and that epoch.  Raises NodeRefused."""
    client = chain_client()
    base = client.ask(base_from_json, "ChainHead")
    epoch = base.height + 1
    key = [cid_to_json(cid) for cid in base.key.cids]
    info = client.ask(base_info_from_json, "MinerGetBaseInfo", str(id_address(actor_id)), epoch, key)
    return info, epoch


def _vrf(miner: Miner, info: BaseInfo | None, epoch: int) -> None:
    """Sign the election's draw; for a miner that has no power yet, by its worker of now."""
    if info is None:
        raise WarmUpFailed(gettext("the node returned no base info: no power at the lookback yet"))
    worker = str(info.worker)
    if not worker_granted(tenant_id=miner.tenant_id, worker=worker):
        raise SignerRefused(
            gettext("{tenant} has no grant for the worker {worker}").format(
                tenant=miner.tenant.name, worker=worker
            )
        )
    draw = election_draw(info, id_address(miner.actor_id or 0), epoch)
    signature = wallet_sign(
        address=worker,
        accounts=[miner.tenant.name],
        to_sign=draw.to_cbor(),
        meta_type=META_DRAW,
        timeout_s=SIGN_S,
    )
    try:
        vrf_verify(info.worker, draw.randomness, signature.data)
    except BadElection as error:
        raise SignerRefused(
            gettext("the signer returned an invalid signature: {error}").format(error=error)
        ) from None


def _proof(miner: Miner, request: Any) -> Any:
    account = winning_account(miner.tenant.name, miner.actor_id or 0, now=clock.now())
    hub_request = HubRequest(
        proof_route(miner.actor_id or 0), (account,), "ComputeProof", request, is_repeatable=True
    )
    [answer] = requests_send([hub_request], timeout_s=PROOF_S)
    if isinstance(answer, DomainError):
        raise answer
    return answer


def _verify(miner: Miner, request: Any, answer: Any) -> None:
    proof = answer[0] if isinstance(answer, list) and answer else None
    finding = prover_proof_check(miner.actor_id or 0, request=request, answer=proof, took="proved")
    if not finding.is_good:
        raise WarmUpFailed(finding.text)


def _node_key(info: BaseInfo) -> None:
    if node_has_key(str(info.worker)) is False:
        raise WarmUpFailed(str(NO_KEY_ADVICE))


def node_has_key(worker: str) -> bool | None:
    """Return whether a node that signs its blocks itself has a key: lotus, known by lacking MpoolSelects.

    None: blocks of this node are signed by the pool.  The next node makes a block that one cannot, so one of
    them is enough.  Raises NodeRefused, NodeUnavailable.
    """
    client = chain_client()
    try:
        client.call("MpoolSelects", [], [])
    except NodeRefused as refusal:
        if refusal.is_unknown_method:
            return _some_has(client, worker)
    return None


def _some_has(client: ChainClient, worker: str) -> bool:
    failure: DomainError | None = None
    answers = []
    for node in client.nodes():
        try:
            answers.append(bool(node.call("WalletHas", worker)))
        except (NodeRefused, NodeUnavailable) as error:
            failure = error
    if failure is not None and not answers:
        raise failure
    return any(answers)
