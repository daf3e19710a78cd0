"""Steps of the way into the pool: keys, the signer's policy, and gas for proofs."""

from __future__ import annotations

from collections.abc import Iterator

from apps.checks.findings.results import Link
from apps.core.languages import clauses_text, list_text
from apps.core.marked_texts import gettext
from apps.moves.rules.steps import Step
from apps.moves.selectors.readings import MoveReadings
from apps.proving.services.preconditions import Readiness


def signing_steps(read: MoveReadings, ready: Readiness) -> Iterator[Step]:
    """Yield the steps about keys, policy and gas."""
    miner, keys = read.miner, read.keys_held()
    missing = [address for address, is_held in keys.items() if not is_held]
    needed = {miner.worker, read.sender()}
    yield Step(
        key="keys",
        title=gettext("Keys in the pool's signer"),
        is_done=bool(keys) and not needed & set(missing),
        figure=clauses_text(
            [
                gettext("{held} of {all} keys are held by a connected signer").format(
                    held=len(keys) - len(missing), all=len(keys)
                ),
                *([gettext("not: {addresses}").format(addresses=list_text(missing))] if missing else ()),
            ]
        ),
        risk=gettext(
            "Without the worker's key, nothing is proven and no blocks are made. Without the owner's, "
            "nothing can be withdrawn. An exported file contains the key: delete it at once."
        ),
        command="\n".join(
            f"lotus wallet export {address} > KEY && .venv/bin/python -m workers signer import KEY "
            f"&& shred -u KEY"
            for address in missing
        ),
        link=Link("gateway"),
        button=gettext("Signers"),
    )
    policy = read.policy_text() or ready.refusal
    if not policy and (rule := read.proof_approval()):
        policy = gettext("its proofs would wait for a second person: {rule}").format(rule=rule)
    yield Step(
        key="policy",
        title=gettext("Signer's policy covers the miner"),
        is_done=not policy,
        figure=policy
        or gettext("no rule for the pool's miners leaves out {miner}").format(miner=miner.address),
        risk=gettext("Otherwise the signer refuses the miner's messages, and its first window is missed."),
        needs=("keys",),
        command=f".venv/bin/python -m workers signer policy --miner {miner.address}" if policy else "",
        link=Link("miner", (miner.address,)),
        button=gettext("The miner's page"),
    )
    lack = ready.unmet.get("balance", "")
    yield Step(
        key="funds",
        title=gettext("Gas for proofs"),
        is_done=not lack,
        figure=lack or gettext("{sender} can pay the next proof").format(sender=read.sender()),
        risk=gettext(
            "A proof that cannot pay for its gas does not land, and the window's sectors become faulty."
        ),
        link=Link("wallets"),
        button=gettext("Wallets"),
    )
