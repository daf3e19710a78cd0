"""Multisigs that own a viewer's miners, receive for them, or have a wallet of the viewer as signer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from apps.chain.errors import NodeRefused
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.tipsets import key_to_json
from apps.core.addresses import address_typed
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.messages.models import Receiver
from apps.miners.models import Miner
from apps.miners.onchain.multisigs import MultisigFacts, PendingProposal, multisigs_read
from apps.miners.selectors.addresses import MinerAddresses
from apps.miners.selectors.miners import miners_of_addresses, miners_visible
from apps.miners.selectors.proposals import is_id, proposals_pending
from apps.miners.states import MinerState
from apps.users.rules.principals import Principal
from apps.users.selectors.grants import miners_owners
from apps.wallets.selectors import balances_of, senders_granted
from poolsite.filecoin.address import BadAddress, address_format, address_parse

SHOWN_MAX: Final = 100
"""Multisigs that are read at once."""


@dataclass(frozen=True, slots=True)
class VisibleMultisig:
    """A multisig as a viewer finds it."""

    facts: MultisigFacts
    """Without proposals about miners of tenants that the viewer does not see."""
    miners: tuple[Miner, ...]
    """Those of the viewer that it owns or receives for."""
    wallets: dict[str, str]
    """Signers whose key a signer of the tenant holds: f0 address to key address, in the chain's order."""
    tenant_id: int | None
    """Whose messages propose and approve: the tenant of its miners, else the viewer's."""

    def proposal(self, id: int) -> PendingProposal:  # the actor's name of it
        """Return one that waits.  Raises NotFound."""
        found = next((one for one in self.facts.pending if one.id == id), None)
        if found is None:
            raise NotFound(
                gettext("no proposal {id} waits in {multisig}").format(id=id, multisig=self.facts.address)
            )
        return found

    def approvers(self, proposal: PendingProposal) -> list[str]:
        """Return the f0 addresses of our signers that have not approved yet."""
        return [signer for signer in self.wallets if signer not in proposal.approved]


def multisigs_visible(viewer: Principal, *, client: ChainClient, head: Head) -> list[VisibleMultisig]:
    """Return the multisigs that concern a viewer, those with miners first.  Raises NodeUnavailable."""
    owned = _owned(viewer)
    others = [one for one in _known_multisigs(client) if one not in owned]
    addresses = [*owned, *others][:SHOWN_MAX]
    return _visible(viewer, addresses, owned=owned, client=client, head=head)


def multisig_get(viewer: Principal, address: str, *, client: ChainClient, head: Head) -> VisibleMultisig:
    """Return one multisig by any of its addresses.

    Raises NotFound, also for one that does not concern the viewer; NodeUnavailable.
    """
    try:
        wanted = client.state_lookup_id(address_typed(address))
    except (BadAddress, NodeRefused):
        wanted = ""
    found = _visible(viewer, [wanted], owned=_owned(viewer), client=client, head=head) if wanted else []
    if not found:
        raise NotFound(gettext("there is no multisig {address}").format(address=address[:100]))
    return found[0]


def _owned(viewer: Principal) -> dict[str, list[Miner]]:
    """Return by f0 address what has no key and owns a viewer's miners or receives for them."""
    owned: dict[str, list[Miner]] = {}
    for miner in miners_visible(viewer).filter(state=MinerState.ACTIVE):
        owner = str(miner.owner)
        found = [owner] if is_id(owner) else []
        beneficiary = str(miner.beneficiary)
        if is_id(beneficiary) and beneficiary != f"f0{miner.owner_id}":
            found.append(beneficiary)
        for address in found:
            owned.setdefault(address, []).append(miner)
    return owned


def _known_multisigs(client: ChainClient) -> list[str]:
    """Return the f0 addresses of the multisigs that messages of the pool went to.  Raises NodeUnavailable."""
    rows = Receiver.objects.filter(kind="multisig").order_by("address").values_list("address", flat=True)
    known = list(rows[:SHOWN_MAX])
    named = [one for one in known if not is_id(one)]
    answers = client.call_many([("StateLookupID", [one, key_to_json(None)]) for one in named])
    found = [str(answer) for answer in answers if not isinstance(answer, NodeRefused)]
    return list(dict.fromkeys([*filter(is_id, known), *found]))


def _visible(
    viewer: Principal,
    addresses: Collection[str],
    *,
    owned: dict[str, list[Miner]],
    client: ChainClient,
    head: Head,
) -> list[VisibleMultisig]:
    facts = multisigs_read(client, list(addresses), head.key)
    keys = signer_keys_read(
        {one for each in facts.values() for one in each.signers}, client=client, head=head
    )
    found = []
    for address, each in facts.items():
        miners = tuple(owned.get(address, ()))
        tenant_id = miners[0].tenant_id if miners else viewer.tenant_id
        wallets = signers_held(each, keys=keys, tenant_id=tenant_id)
        if miners or wallets:
            found.append(VisibleMultisig(_without_others(each, viewer), miners, wallets, tenant_id))
    return found


def _without_others(facts: MultisigFacts, viewer: Principal) -> MultisigFacts:
    """Return a multisig without what it proposes about another tenant's miners."""
    if viewer.is_operator and not viewer.miners:
        return facts
    known = miners_of_addresses([one.to for one in facts.pending])
    ids = {
        one.id: known[one.to].actor_id if one.to in known else address_parse(one.to).actor_id
        for one in facts.pending
        if one.to in known or is_id(one.to)
    }
    owners = miners_owners([actor_id for actor_id in ids.values() if actor_id is not None])
    hidden = {
        number
        for number, actor_id in ids.items()
        if actor_id in owners
        and (not viewer.may_mine(actor_id) or (not viewer.is_operator and owners[actor_id] != viewer.own_id))
    }
    pending = tuple(one for one in facts.pending if one.id not in hidden)
    return replace(facts, pending=pending)


def signer_keys_read(signers: Collection[str], *, client: ChainClient, head: Head) -> dict[str, str]:
    """Return by f0 address the keys of signers; one without a key is left out.  Raises NodeUnavailable."""
    tipset = key_to_json(head.key)
    named = sorted(signers)
    answers = client.call_many([("StateAccountKey", [one, tipset]) for one in named])
    return {
        one: address_format(address_parse(str(answer)))
        for one, answer in zip(named, answers, strict=True)
        if not isinstance(answer, NodeRefused)
    }


def signers_held(facts: MultisigFacts, *, keys: dict[str, str], tenant_id: int | None) -> dict[str, str]:
    """Return which signers of a multisig a signer of the tenant holds: f0 address to key address."""
    named = {signer: keys[signer] for signer in facts.signers if signer in keys}
    known = balances_of(named.values())
    granted = senders_granted([tenant_id or 0], named.values())
    return {
        signer: key
        for signer, key in named.items()
        if key in known and (tenant_id is None or (tenant_id, key) in granted)
    }


def proposals_waiting(
    miner: Miner, addresses: MinerAddresses, *, methods: Collection[int], client: ChainClient, head: Head
) -> list[PendingProposal]:
    """Return what waits for approvals in multisigs that act for a miner and would call one of its methods.

    Raises NodeUnavailable.
    """
    keyed = "" if is_id(str(miner.owner)) else f"f0{miner.owner_id}"
    named = (addresses.owner, addresses.beneficiary, addresses.pending_owner)
    actors = list(dict.fromkeys(address_format(address_parse(one)) for one in named if one))
    actors = [one for one in actors if one != keyed]  # an account's ID stays an account's
    found = multisigs_read(client, actors, head.key) if actors else {}
    return proposals_pending(miner, methods, multisigs=found.values())
