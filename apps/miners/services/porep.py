"""How a miner's new sectors are sealed: interactively, with synthetic challenges, or without a pre-commit."""

from __future__ import annotations

from django.db import transaction

from apps.core.errors import BadValue, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.policy import Network, ProofForm
from poolsite.filecoin.porep.parameters import ChallengeRule, seal_parameters
from poolsite.filecoin.proof_container import porep_fits_message


def porep_rule_read(miner: Miner) -> ChallengeRule:
    """Return how its new sectors are sealed."""
    return seal_parameters(miner.seal_proof).rule


def porep_rules_list(miner: Miner, *, network: Network) -> dict[ChallengeRule, int]:
    """Return the seal proofs that the network takes for sectors of the miner's size, by their rule.

    Where it takes containers, none of which a container fits into no message.
    """
    proofs = [int(proof) for proof in network.seal_proofs if proof.sector_size == miner.sector_size]
    choices = {seal_parameters(proof).rule: proof for proof in proofs}
    if network.proof_form == ProofForm.VANILLA and not porep_fits_message(
        choices.get(ChallengeRule.NON_INTERACTIVE, 0)
    ):
        del choices[ChallengeRule.NON_INTERACTIVE]
    return choices


def porep_set(miner: Miner, *, rule: str, network: Network, by: Principal) -> Miner:
    """Seal the miner's sectors by another rule from now on; those that are started keep theirs.

    Raises BadValue, NotAllowed.
    """
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    choices = {str(known): proof for known, proof in porep_rules_list(miner, network=network).items()}
    if rule not in choices:
        raise BadValue(
            gettext("{network} accepts {choices} for sectors of this size").format(
                network=network.name, choices=", ".join(choices)
            ),
            field="porep",
        )
    with transaction.atomic():
        row = Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)
        before = porep_rule_read(row)
        if rule != before:
            row.seal_proof = choices[rule]
            row.save(update_fields=["seal_proof"])
            audit_record(
                principal=by,
                action="miner.porep",
                target=str(row),
                before={"porep": str(before)},
                after={"porep": rule},
            )
            publish(Change("miner", row.pk, row.tenant_id))
    return row
