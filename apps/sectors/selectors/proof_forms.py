"""Which form of proof a network takes, who here makes it, and the check of finished proofs.

A network's row says its form.  Ours takes containers of vanilla proofs and Groth16 alike; every other takes
Groth16 alone, so there nothing is pledged or claimed unless hosts have said that they make it, and no
container is ever sent.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from apps.chain.errors import NetworkUnknown
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core.formatting import size
from apps.core.marked_texts import gettext
from apps.sectors.errors.pledges import ProofFormMissing
from apps.sectors.models import DAMOCLES, Worker
from apps.sectors.rules.policy import sealing_policy
from poolsite.filecoin import policy
from poolsite.filecoin.groth16.keys import VerifyingKeys, parameter_folder
from poolsite.filecoin.policy import Network, ProofForm, SetUp
from poolsite.filecoin.proof_container import update_fits_message
from poolsite.filecoin.proof_verifier import ProofVerifier, has_groth16_size, is_container
from poolsite.wire.hardware import FOREIGN_GROTH16, TOXIC_GROTH16
from poolsite.wire.hosts import TicketTimes
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import Stage

PROGRAMS = {JobKind.SEAL: "sealer", JobKind.WINDOW_POST: "prover"}
"""The programs that make proofs, by the jobs they take."""


def proof_form_for(network: Network) -> ProofForm:
    """Return the form of proof that the pool makes for a network.  Raises ProofFormMissing."""
    missing = _programs_missing(network)
    if missing:
        raise ProofFormMissing(network.name, network.proof_form, missing=missing)
    return network.proof_form


def can_prove(network: Network) -> bool:
    """Return whether the pool's hosts make the proofs that a network takes."""
    return not _programs_missing(network)


def proof_form_here_require() -> None:
    """Refuse work on the pool's own network that ends in a proof.  Raises ProofFormMissing."""
    network = _network_here()
    if network is not None:
        proof_form_for(network)


def forms_accepted(network: Network) -> frozenset[str]:
    """Return the forms that a network takes: ours takes both, a public one none by other parameters."""
    others = () if network.set_up is SetUp.PUBLISHED else (TOXIC_GROTH16, FOREIGN_GROTH16)
    return frozenset({network.proof_form, ProofForm.GROTH16, *others})


def makes_proofs_here(hardware: dict[str, Any]) -> bool:
    """Return whether a host makes the proofs of the pool's own network, as far as that is known."""
    forms = forms_here()
    return forms is None or not forms.isdisjoint(proofs_made(hardware))


def forms_here() -> frozenset[str] | None:
    """Return the forms that the pool's own network takes; None while that is not known."""
    network = _network_here()
    return None if network is None else forms_accepted(network)


def _forms_here_select() -> str:
    rows = policy.NETWORKS | policy.ALIASES
    forms = {name: ",".join(sorted(forms_accepted(row))) for name, row in rows.items()}
    others = ",".join(sorted(forms_accepted(replace(policy.MAINNET, name=""))))
    cases = " ".join(f"WHEN '{name}' THEN '{{{accepted}}}'" for name, accepted in forms.items())
    return f"""SELECT (CASE coalesce(params->>'NetworkName', name) {cases} ELSE '{{{others}}}' END)::text[]
        FROM chain_network ORDER BY id LIMIT 1"""  # noqa: S608  # constants


FORMS_HERE: Final = _forms_here_select()
"""SQL of `forms_here` as a text[], for use inside another query; NULL while the network is not known."""
NETWORK_VERSION: Final = "(SELECT xmin::text || updated_at FROM chain_network ORDER BY id LIMIT 1)"
"""Of the row of the pool's own network, to be asked for beside other things: another after each change."""


def makes_proofs_at(version: str | None, hardware: dict[str, Any]) -> bool:
    """Return the same as `makes_proofs_here`, without a question: for who knows the version of the row."""
    network = _network_at(version)
    return network is None or not forms_accepted(network).isdisjoint(proofs_made(hardware))


def takes_containers_at(version: str | None) -> bool:
    """Return the same as `takes_containers_here`, for who knows the version of the network's row."""
    network = _network_at(version)
    return network is None or network.proof_form == ProofForm.VANILLA


def epoch_s_at(version: str | None) -> int:
    """Return the seconds of an epoch of the pool's own network; 0 while that is not known."""
    network = _network_at(version)
    return 0 if network is None else network.epoch_s


def ticket_times_at(version: str | None) -> TicketTimes | None:
    """Return how long tickets last; None while network or head are not known.

    Its times are kept with the network's rules: an epoch's time follows from that of any head.
    """
    network = _network_at(version)
    if version is None or network is None:
        return None
    if version not in TICKETS and (head := head_current()) is not None:
        TICKETS.clear()
        TICKETS[version] = TicketTimes(
            genesis_s=head.timestamp - head.height * network.epoch_s,
            epoch_s=network.epoch_s,
            lookback=network.ticket_lookback,
            lasts=network.max_precommit_randomness_lookback - sealing_policy().precommit_slack_epochs,
        )
    return TICKETS.get(version)


def _network_at(version: str | None) -> Network | None:
    """Return the pool's own network; its rules are read once for each version: that takes a millisecond."""
    if version is None:
        return None
    try:
        return NETWORKS[version]
    except KeyError:  # no `in` before it: another thread may empty the table between the two
        network = _network_here()
        NETWORKS.clear()
        NETWORKS[version] = network
        return network


NETWORKS: Final[dict[str, Network | None]] = {}
TICKETS: Final[dict[str, TicketTimes]] = {}


def proofs_made(hardware: dict[str, Any]) -> list[str]:
    """Return the forms of proof that a host makes."""
    found: list[str] = hardware.get("proofs", [ProofForm.VANILLA])
    return found


PARAMETER_FACTS: Final = (
    "parameters_error",
    "proofs",
    "parameters_done",
    "parameters_total",
    "parameters_foreign",
)
"""What of a host's hardware decides about `parameters_error`."""


def parameters_error(hardware: dict[str, Any]) -> str:
    """Return why a host cannot make the proofs it was told to make, or the network refuses them."""
    if hardware.get("parameters_error"):
        return str(hardware["parameters_error"])
    forms = set(hardware.get("proofs", ()))
    is_foreign = not forms.isdisjoint({TOXIC_GROTH16, FOREIGN_GROTH16})
    is_preparing = hardware.get("parameters_done", 0) < hardware.get("parameters_total", 0)
    if not forms or (not is_foreign and (is_preparing or ProofForm.GROTH16 in forms)):
        return ""
    network = _network_here()
    if network is None or not forms_accepted(network).isdisjoint(forms - {ProofForm.GROTH16}):
        return ""
    if not is_foreign:
        return gettext(
            "it makes no Groth16 proofs, and {network} accepts no others: set POOLSITE_SNARK=auto or groth16 "
            "there, and create the parameters with make params"
        ).format(network=network.name)
    return gettext(
        "{reason}: {network} rejects every proof made with them; replace them with the network's own "
        "parameter files and restart the host"
    ).format(reason=_files_refused(hardware), network=network.name)


def _files_refused(hardware: dict[str, Any]) -> str:
    """Return which files of a host a public network does not take, and why."""
    reason = (
        gettext("its Groth16 parameters come from a known seed")
        if TOXIC_GROTH16 in hardware.get("proofs", ())
        else gettext("its Groth16 parameters are not the files published for the network")
    )
    files = hardware.get("parameters_foreign", "")
    return gettext("{reason} ({files})").format(reason=reason, files=files) if files else reason


def proof_form_check(network: Network, proof: bytes) -> None:
    """Refuse to send a container to a network that does not take it.  Raises ProofFormMissing."""
    if network.proof_form != ProofForm.VANILLA and is_container(proof):
        raise ProofFormMissing(network.name, network.proof_form)


def update_error(hardware: dict[str, Any]) -> str:
    """Return why a host can prove no replica update; empty if it can, as far as it has said."""
    return str(hardware.get("update_error", ""))


def update_refusal(hardware: dict[str, Any], sector_bytes: int) -> str:
    """Return why a host can prove no update of sectors of a size in a form that fits into a message."""
    error = update_error(hardware)
    if error or update_fits_message(sector_bytes) or sector_bytes in hardware.get("update_sizes", ()):
        return error
    number, unit = size(sector_bytes)
    return gettext(
        "the vanilla proofs of an update of {size} do not fit into a message, and it makes no Groth16 "
        "proofs: set POOLSITE_SNARK=auto or groth16 there, and create the parameters with make params "
        "SECTOR_SIZE={name}"
    ).format(size=f"{number} {unit}", name=f"{number}{unit}")


def is_checked_here(proof: bytes) -> bool:
    """Return whether a host's proof is checked when it is handed in.

    Our own chain checks a container itself, within seconds and at no cost; a Groth16 proof that does not hold
    would end as a message that nobody can explain.
    """
    return not takes_containers_here() or (not is_container(proof) and has_groth16_size(proof))


def takes_containers_here() -> bool:
    """Return whether the pool's own network takes containers of vanilla proofs, as far as that is known."""
    network = _network_here()
    return network is None or network.proof_form == ProofForm.VANILLA


def proof_verifier() -> ProofVerifier:
    """Return the checks of the pool's own network: by verifying keys that are here, by form without."""
    network = _network_here()
    is_public = network is not None and network.set_up is SetUp.PUBLISHED
    keys = _keys(parameter_folder(), is_public)
    return ProofVerifier(keys, takes_containers=takes_containers_here(), needs_keys=False)


@lru_cache(maxsize=2)
def _keys(folder: Path, must_be_published: bool) -> VerifyingKeys:
    return VerifyingKeys(folder, must_be_published=must_be_published)


def _programs_missing(network: Network) -> list[str]:
    """Return the programs of which no host has said that it makes the network's proofs."""
    if network.proof_form == ProofForm.VANILLA:
        return []
    forms = [str(form) for form in forms_accepted(network)]
    makers = Worker.objects.filter(retired_at=None, hardware__proofs__has_any_keys=forms)
    kinds = {
        kind
        for kinds, slots in makers.values_list("kinds", "slots")
        for kind in kinds
        if kind != JobKind.SEAL or slots.get(str(Stage.C2), 1)  # without a slot a host makes no proofs
    }
    if DAMOCLES in kinds:
        kinds.add(str(JobKind.SEAL))
    return [program for kind, program in PROGRAMS.items() if kind not in kinds]


def _network_here() -> Network | None:
    try:
        return network_current()
    except NetworkUnknown:
        return None
