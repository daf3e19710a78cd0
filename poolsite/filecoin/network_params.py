"""The answer of StateGetNetworkParams: the row that it names, and a row as that answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.policy import (
    EPOCHS_PER_DAY_MAINNET,
    MAINNET,
    Network,
    UnknownNetwork,
    network_by_name,
    network_is_listed,
)
from poolsite.filecoin.sector import FIRST_V1_1, RegisteredSealProof
from poolsite.filecoin.upgrades import UPGRADES, heights_read

_PARAM_NUMBERS: Final = (
    ("BlockDelaySecs", "epoch_s"),
    ("PreCommitChallengeDelay", "pre_commit_challenge_delay"),
    ("Eip155ChainID", "eth_chain_id"),
    ("ChainFinality", "chain_finality"),
    ("TicketLookback", "ticket_lookback"),
    ("PowerLookback", "power_lookback"),
    ("MaxPreCommitRandomnessLookback", "max_precommit_randomness_lookback"),
    ("MaxProveCommitDuration", "max_prove_commit_duration"),
    ("MinSectorExpiration", "min_sector_expiration"),
    ("FaultMaxAge", "fault_max_age"),
    ("DisputeWindow", "dispute_window"),
    ("WorkerKeyChangeDelay", "worker_key_change_delay"),
    ("MaxMessageLen", "max_message_len"),
)
"""Members of the network parameters and the row's fields; lotus has the first three."""
_PROVING_NUMBERS: Final = (
    ("WPoStPeriodDeadlines", "deadlines"),
    ("WPoStChallengeWindow", "window"),
    ("WPoStChallengeLookback", "lookback"),
    ("FaultDeclarationCutoff", "fault_cutoff"),
)
"""Members of the network parameters and fields of the row's proving times; the devnet alone adds them."""

_REQUIRED: Final = (
    "BlockDelaySecs",
    "ConsensusMinerMinPower",
    "PreCommitChallengeDelay",
    "Eip155ChainID",
    "SupportedProofTypes",
)
"""What has to be told of a network without a row; all else is compiled into the actors of every chain."""


def network_from_params(value: Any) -> Network:
    """Return the row of the network that StateGetNetworkParams names, overridden by what the answer carries.

    Lotus and venus carry the first group of members; the devnet adds the second, so that a changed figure
    reaches everyone.  A network without a row has the times of mainnet's actors and needs `_REQUIRED`. Raises
    BadField, UnknownNetwork.
    """
    if not isinstance(value, dict) or not isinstance(value.get("NetworkName"), str):
        raise BadField("NetworkName", "network parameters must name their network")
    name = value["NetworkName"]
    listed = network_by_name(name) if network_is_listed(name) else None
    row = listed or _unlisted(value)
    changes: dict[str, Any] = {"name": name}
    for member, attr in _PARAM_NUMBERS:
        if value.get(member) is not None:
            changes[attr] = _positive(value[member], member, zero_ok=attr != "epoch_s")
    if isinstance(value.get("ConsensusMinerMinPower"), str):
        changes["consensus_miner_min_power"] = _decimal(value["ConsensusMinerMinPower"])
    if value.get("SupportedProofTypes"):
        changes["seal_proofs"] = _seal_proofs(value["SupportedProofTypes"], listed=listed)
    changes["proving"] = replace(
        row.proving,
        **{
            attr: _positive(value[member], member, zero_ok=attr in ("lookback", "fault_cutoff"))
            for member, attr in _PROVING_NUMBERS
            if value.get(member) is not None
        },
    )
    # Nodes write a negative epoch for an upgrade that genesis has already.
    heights = {name: at for name, at in heights_read(value).items() if at >= 0}
    changes["upgrades"] = tuple((dict(row.upgrades) | heights).items())
    return replace(row, **changes)


def _unlisted(value: dict[str, Any]) -> Network:
    """Return the row of a network that the table does not have.

    Raises UnknownNetwork if a required member is missing.
    """
    missing = [member for member in _REQUIRED if value.get(member) in (None, "", [])]
    if missing:
        names = ", ".join(missing)
        raise UnknownNetwork(
            f"network {value['NetworkName']!r} has no built-in rules, and its node does not report {names}"
        )
    return replace(MAINNET, max_prove_commit_duration=30 * EPOCHS_PER_DAY_MAINNET, upgrades=())


def network_to_params(row: Network, *, genesis_s: int) -> dict[str, Any]:
    """Return the answer of StateGetNetworkParams for a row: lotus' members and the devnet's additions."""
    result: dict[str, Any] = {
        "NetworkName": row.name,
        "BlockDelaySecs": row.epoch_s,
        "ConsensusMinerMinPower": str(row.consensus_miner_min_power),
        "SupportedProofTypes": [int(proof) for proof in row.seal_proofs],
        "PreCommitChallengeDelay": row.pre_commit_challenge_delay,
        "ForkUpgradeParams": _fork_upgrades(row),
        "Eip155ChainID": row.eth_chain_id,
        "GenesisTimestamp": genesis_s,
    }
    result.update({member: getattr(row.proving, attr) for member, attr in _PROVING_NUMBERS})
    result.update({member: getattr(row, attr) for member, attr in _PARAM_NUMBERS if member not in result})
    return result


def _fork_upgrades(row: Network) -> dict[str, int]:
    """Return all upgrades in force before genesis, but those that the row has an epoch of."""
    before = {upgrade.name: -1 - place for place, upgrade in enumerate(UPGRADES)}
    heights = {f"Upgrade{name}Height": at for name, at in (before | dict(row.upgrades)).items()}
    return heights | {"BreezeGasTampingDuration": 0}


def _positive(value: Any, member: str, *, zero_ok: bool) -> int:
    """Return a whole number above 0, or 0 where that is allowed.  Raises BadField."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0 or (value == 0 and not zero_ok):
        raise BadField(member, "must be a whole number in range")
    return value


def _decimal(value: str) -> int:
    """Return the integer of at most 40 decimal digits.  Raises BadField."""
    if not (value.isascii() and value.isdigit() and len(value) <= 40):
        raise BadField("ConsensusMinerMinPower", "must be a string of decimal digits")
    return int(value)


def _seal_proofs(value: Any, *, listed: Network | None) -> tuple[RegisteredSealProof, ...]:
    """Return those of a node's registered proofs that are known here and in use.

    venus lists V1 alone, whatever its network takes: a listed network's row holds then, else V1_1 of those
    sizes.  Source: venus app/submodule/chain/chaininfo_api.go StateGetNetworkParams.  Raises BadField.
    """
    if not isinstance(value, list):
        raise BadField("SupportedProofTypes", "must be a list")
    known = {int(proof): proof for proof in RegisteredSealProof}
    reported = [known[number] for number in value if isinstance(number, int) and number in known]
    if in_use := tuple(proof for proof in reported if proof >= FIRST_V1_1):
        return in_use
    if listed is not None:
        return listed.seal_proofs
    return tuple(RegisteredSealProof(proof + FIRST_V1_1) for proof in reported)
