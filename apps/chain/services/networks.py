"""Which network this pool is on: bound at the first contact, checked at each later one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from apps.chain.errors import NetworkUnknown, NodeRefused, WrongNetwork
from apps.chain.models import Follower, Head, Network, Node
from apps.chain.node.client import ChainClient
from apps.chain.selectors.network import network_bound
from apps.chain.selectors.read_cache import read_again
from apps.chain.states import NodeCondition
from apps.core.marked_texts import gettext
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.network_params import network_from_params
from poolsite.filecoin.policy import UnknownNetwork, network_is_listed
from poolsite.filecoin.sector import FIRST_V1_1, RegisteredSealProof

MINER_PARAMS: Final = (
    "SupportedProofTypes",
    "WPoStPeriodDeadlines",
    "WPoStChallengeWindow",
    "WPoStChallengeLookback",
    "FaultDeclarationCutoff",
)
"""Parameters that lotus leaves out and every miner of the chain shows."""
MINERS_READ: Final = 3


def network_bind(client: ChainClient) -> Network:
    """Note what the node says about its network; the first answer binds the pool to it.

    A node that still syncs has the version of its own head: a lower one than was noted is left alone.
    Raises WrongNetwork if the node's network or its genesis is another, NetworkUnknown if its rules are
    not known; nothing is written then.
    """
    row = network_read(client)
    bound = network_bound()
    if bound is not None and row.version < bound.version:
        return bound
    if bound is None or (bound.version, bound.params) != (row.version, row.params):
        reported = {"name": row.name, "genesis": row.genesis, "version": row.version, "params": row.params}
        row, _ = Network.objects.update_or_create(pk=1, defaults=reported)
        read_again()
    return row


def network_read(client: ChainClient) -> Network:
    """Return the unsaved row that this node would bind the pool to.  Raises WrongNetwork, NetworkUnknown."""
    name, genesis, _ = client.chain_known()
    bound = network_check(name, genesis=genesis)
    params = params_read(client, name=name, stored={} if bound is None else bound.params)
    try:
        network_from_params(params)
    except (UnknownNetwork, BadField) as error:
        raise NetworkUnknown(f"{error}: set NETWORK_PARAMS") from None
    return Network(pk=1, name=name, genesis=genesis, version=client.state_network_version(), params=params)


def params_read(client: ChainClient, *, name: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network's parameters: the node's own first, then NETWORK_PARAMS, then those of its miners."""
    reported = client.state_get_network_params()
    if network_is_listed(name):
        return reported
    reported = {member: value for member, value in reported.items() if value not in (None, "", [])}
    stated = settings.NETWORK_PARAMS | reported | {"NetworkName": name}
    seen = {member: stored[member] for member in MINER_PARAMS if member in stored}
    if any(member not in stated and member not in seen for member in MINER_PARAMS):
        seen |= miner_facts_read(client)
    return seen | stated


def miner_facts_read(client: ChainClient) -> dict[str, Any]:
    """Return the proving times and proof types that a miner of the chain has; empty if it has no miner."""
    head = client.chain_head()
    # The genesis block names no miner; where there are blocks, their miners need no list of all.
    miners = head.miners if head.height > 0 else client.call("StateListMiners", []) or ()
    for miner in miners[:MINERS_READ]:
        try:
            info, deadline = client.state_miner_info(miner), client.state_miner_proving_deadline(miner)
        except NodeRefused:
            continue  # any other miner of the chain has the same times
        size = info.get("SectorSize")
        proofs = [int(proof) for proof in RegisteredSealProof if proof.sector_size == size]
        times = {member: deadline[member] for member in MINER_PARAMS if deadline.get(member)}
        return times | {"SupportedProofTypes": [proof for proof in proofs if proof >= FIRST_V1_1]}
    return {}


def network_check(name: str, *, genesis: str) -> Network | None:
    """Return the network that the pool is bound to, if to any.  Raises WrongNetwork if this is another."""
    row = network_bound()
    if row is not None and (row.name, row.genesis) != (name, genesis):
        if row.name != name:
            refusal = gettext("the node is on {name}; this pool belongs to {network}")
        else:
            refusal = gettext("the node's genesis block of {name} differs from this pool's")
        raise WrongNetwork(refusal.format(name=name, network=row.name))
    return row


@transaction.atomic
def network_forget() -> None:
    """Unbind the pool from its network, with the heads that were followed; the next node binds it anew."""
    list(Head.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
    Follower.objects.update(head=None, steps_key="", steps_epoch=-1)
    Head.objects.all().delete()
    Network.objects.all().delete()
    Node.objects.update(condition=NodeCondition.UNKNOWN, error="")
