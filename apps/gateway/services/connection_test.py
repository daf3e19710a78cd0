"""Tests and closing of one connection, as a person asks for them."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import structlog
from django.db import transaction

from apps.core import clock
from apps.core.errors import BadValue, DomainError, NotAllowed
from apps.core.marked_texts import gettext
from apps.gateway.hub.blocking_client import connection_send
from apps.gateway.hub.routes import END, PROVE, ConnectionRef
from apps.gateway.models import ProverConnection, SignerConnection, SignerKey
from apps.gateway.selectors.connections import ALIVE_S
from apps.gateway.states import Purpose
from apps.users.errors import TenantUnknown
from apps.users.models import AccountApproval, Tenant
from apps.users.rules.principals import Principal
from apps.users.selectors.approvals import approval_of
from apps.users.services.audit import audit_record
from apps.users.services.grants import account_approval_revoke, account_approve
from poolsite.filecoin.cids import cid_from_json, cid_to_commr
from poolsite.filecoin.groth16.keys import VerifyingKeys, parameter_folder
from poolsite.filecoin.proof_verifier import BAD_PROOFS, KeyMissing, ProofVerifier

log = structlog.get_logger(__name__)

END_S: Final = 5.0
SIGN_S: Final = 10.0
PROOF_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class ConnectionTestResult:
    """What a test showed."""

    is_good: bool
    text: str


def connection_request(
    row: SignerConnection | ProverConnection, *, method: str, payload: Any, timeout_s: float
) -> Any:
    """Send a request to this very connection.  Raises ProviderRefused, NoAnswer."""
    ref = ConnectionRef(connection=str(row.pk), process=row.process, accounts=frozenset())
    return connection_send(ref, method, payload, timeout_s=timeout_s)


def connection_end(*, principal: Principal, row: SignerConnection | ProverConnection) -> None:
    """Close a connection; its program may dial again, unless its token is revoked.  Raises NoAnswer."""
    audit_record(principal=principal, action="gateway.disconnect", target=f"{row} ({row.pk})")
    connection_request(row, method=END, payload=None, timeout_s=END_S)


@transaction.atomic
def account_approval_decide(
    *, principal: Principal, signer_tenant: Tenant, account: Tenant, is_approved: bool
) -> AccountApproval:
    """Approve that the signers of one tenant serve another's account, or refuse and revoke that.

    Raises NotAllowed, TenantUnknown.
    """
    if not principal.may("admin"):
        raise NotAllowed(gettext("this requires the level 'admin'"))
    if not principal.is_operator and account.pk != principal.own_id:
        raise TenantUnknown(account.name, field="account")
    pair = {"signer_tenant": signer_tenant, "account": account}
    if is_approved:
        account_approve(**pair)
    if is_approved or account_approval_revoke_and_disconnect(**pair):
        after = {"signer": signer_tenant.name, "approve": is_approved}
        audit_record(principal=principal, action="account.approve", target=account.name, after=after)
    return approval_of(**pair)


def account_approval_revoke_and_disconnect(*, signer_tenant: Tenant, account: Tenant) -> bool:
    """Revoke the approval and close the signers that serve the account; they dial again.

    False if there was none.
    """
    is_revoked = account_approval_revoke(signer_tenant=signer_tenant, account=account)
    serving = SignerConnection.objects.filter(
        tenant=signer_tenant, closed_at=None, accounts__contains=[account.name]
    )

    def end() -> None:
        for row in serving.filter(seen_at__gt=clock.now() - ALIVE_S):
            try:
                connection_request(row, method=END, payload=None, timeout_s=END_S)
            except DomainError as error:  # the hub forgets it with its process
                log.warning("signer_not_closed", connection=str(row.pk), reason=error.reason)

    transaction.on_commit(end)
    return is_revoked


def signer_test(row: SignerConnection) -> ConnectionTestResult:
    """Verify a signature of its first key over a fresh challenge."""
    key = SignerKey.objects.filter(connection=row, removed_at=None).order_by("pk").first()
    if key is None:
        return ConnectionTestResult(False, gettext("it holds no key"))
    start = time.monotonic()
    try:
        connection_request(row, method=PROVE, payload=str(key.address), timeout_s=SIGN_S)
    except DomainError as refusal:
        return ConnectionTestResult(False, refusal.reason)
    return ConnectionTestResult(
        True, gettext("signed in {time:.0f} ms").format(time=(time.monotonic() - start) * 1000)
    )


def prover_test(row: ProverConnection, *, request: Mapping[str, Any]) -> ConnectionTestResult:
    """Verify a WinningPoSt that it computes; `request` is the payload for one of the miner's sectors.

    Raises BadValue for a storage that unseals pieces: nothing can be asked of it without effect.
    """
    if row.purpose != Purpose.PROOF:
        raise BadValue(gettext("a storage connection cannot be tested without unsealing a piece"))
    start = time.monotonic()
    try:
        proofs = connection_request(row, method="ComputeProof", payload=dict(request), timeout_s=PROOF_S)
    except DomainError as refusal:
        return ConnectionTestResult(False, refusal.reason)
    took = gettext("proof computed in {time:.0f} ms").format(time=(time.monotonic() - start) * 1000)
    if not isinstance(proofs, list) or not proofs:
        return ConnectionTestResult(False, gettext("it returned no proof"))
    return prover_proof_check(row.actor_id, request=request, answer=proofs[0], took=took)


def prover_proof_check(
    miner_id: int, *, request: Mapping[str, Any], answer: Any, took: str
) -> ConnectionTestResult:
    """Check a proof; one of Groth16 without the circuit's verifying key by its form."""
    try:
        number, proof = answer["PoStProof"], base64.b64decode(answer["ProofBytes"], validate=True)
        sectors = []
        for info in request["SectorInfos"]:
            sealed = cid_from_json(info["SealedCID"])
            if sealed is not None:
                sectors.append((info["SectorNumber"], cid_to_commr(sealed)))
        verifier = ProofVerifier(VerifyingKeys(parameter_folder()))
        check = partial(
            ProofVerifier.winning_post,
            proof=proof,
            post_proof=number,
            randomness=base64.b64decode(request["Rand"]),
            miner_id=miner_id,
            sectors=sectors,
        )
        try:
            check(verifier)
        except KeyMissing:
            check(replace(verifier, needs_keys=False))
            return ConnectionTestResult(
                True,
                gettext("{took}; only its format was checked: the verifying key is not available").format(
                    took=took
                ),
            )
    except (TypeError, KeyError, ValueError, *BAD_PROOFS) as error:
        return ConnectionTestResult(False, gettext("its proof is invalid: {error}").format(error=error)[:200])
    return ConnectionTestResult(True, gettext("{took}, and it is valid").format(took=took))
