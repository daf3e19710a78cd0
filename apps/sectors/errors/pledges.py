"""Refusals of pledges."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core.errors import BadValue, Conflict
from apps.core.languages import list_text
from apps.core.marked_texts import gettext


class BadCount(BadValue):
    """More sectors at once than are allowed, or none."""

    code = "bad_count"


class KeyReused(Conflict):
    """The idempotency key was used for another request."""

    code = "key_reused"

    def __init__(self) -> None:
        super().__init__(
            gettext("this key was already used for a different request"), field="Idempotency-Key"
        )


class PledgeUnsettled(Conflict):
    """A restored database may have lost the pledge of this key; a person has to say whether it is one."""

    code = "pledge_unsettled"

    def __init__(self, miner: object, numbers: Sequence[int]) -> None:
        named = ", ".join(str(number) for number in numbers[:5]) + (", …" if len(numbers) > 5 else "")
        super().__init__(
            gettext(
                "sectors {named} of {miner} were created after the backup, and the record of which "
                "pledge created them is lost: if it was this pledge, do not repeat it; if not, the "
                "operator can allow it on the Recovery page"
            ).format(named=named, miner=miner),
            field="Idempotency-Key",
        )


class ProofFormMissing(Conflict):
    """The network takes proofs that this pool does not make."""

    code = "proof_form_missing"

    def __init__(self, network: str, form: str, *, missing: Sequence[str] = ()) -> None:
        words = (
            gettext(
                "the network {network} requires {form} proofs, and none is made here by: {programs}. "
                "Nothing is pledged, so no deposit is locked. Start them with --snark groth16 and the "
                "circuits' parameters (docs/snark.md)"
            ).format(network=network, form=form, programs=list_text(missing))
            if missing
            else gettext(
                "the network {network} requires {form} proofs: nothing is pledged, so no deposit is locked. "
                "Start sealers and provers with --snark groth16 and the circuits' parameters (docs/snark.md)"
            ).format(network=network, form=form)
        )
        super().__init__(words, field="miner")
