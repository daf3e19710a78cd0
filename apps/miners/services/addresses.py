"""Which addresses send a miner's messages, by what they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from django.db import transaction

from apps.core.addresses import address_fault
from apps.core.errors import BadValue, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.miners.models import Miner, MinerAddress
from apps.miners.selectors.senders import senders_named
from apps.miners.states import Use
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.address import DELEGATED, BadAddress, address_parse

SENDERS_MAX: Final = 12
"""Addresses of one use: an owner, a worker and the ten control addresses that the chain takes."""


def senders_set(miner: Miner, *, named: Mapping[str, Sequence[str]], by: Principal) -> None:
    """Choose which of a miner's addresses send for the uses named, in order; none: as without a choice.

    An address is taken as a key or as f0.  What waits for its turn to be sent goes from the new one; what is
    signed stays as it is.  Raises BadValue (its field is the use), NotAllowed.
    """
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    with transaction.atomic():
        row = Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)
        wanted = {_use(name): _sender_keys(row, name, addresses) for name, addresses in named.items()}
        before = senders_named(row)
        changed = {use: addresses for use, addresses in wanted.items() if addresses != before[use]}
        if not changed:
            return
        MinerAddress.objects.filter(miner=row, use__in=changed).delete()
        MinerAddress.objects.bulk_create(
            MinerAddress(miner=row, use=use, address=address)
            for use, addresses in changed.items()
            for address in addresses
        )
        audit_record(
            principal=by,
            action="miner.senders",
            target=str(row),
            before={use.value: before[use] for use in changed},
            after={use.value: addresses for use, addresses in changed.items()},
        )
        publish(Change("miner", row.pk, row.tenant_id))


def _use(name: str) -> Use:
    if name not in Use.values:
        raise BadValue(
            gettext("unknown use; must be one of {uses}").format(uses=", ".join(Use.values)), field=name
        )
    return Use(name)


def _sender_keys(miner: Miner, name: str, addresses: Sequence[str]) -> list[str]:
    """Return the keys of addresses that may send for a miner, each once.  Raises BadValue."""
    keys = _keys_of(miner)
    chosen: list[str] = []
    for text in addresses:
        try:
            key = keys.get(str(address_parse(text)))
        except BadAddress as error:
            raise BadValue(
                gettext("{text}: {error}").format(text=text, error=address_fault(error)), field=name
            ) from error
        if key is not None and address_parse(key).protocol == DELEGATED:
            refusal = gettext("{text} is an Ethereum key (f410), which signs no method of a miner")
            raise BadValue(refusal.format(text=text), field=name)
        if key is None:
            refusal = gettext("{text} is not the owner, the worker or a control address of {miner}")
            raise BadValue(refusal.format(text=text, miner=miner), field=name)
        chosen.append(key)
    chosen = list(dict.fromkeys(chosen))
    if len(chosen) > SENDERS_MAX:
        raise BadValue(gettext("at most {most} addresses").format(most=SENDERS_MAX), field=name)
    return chosen


def _keys_of(miner: Miner) -> dict[str, str]:
    """Return the key of each address that may send for a miner, by that key and by its f0."""
    ids = [
        (f"f0{miner.owner_id}", miner.owner),
        (f"f0{miner.worker_id}", miner.worker),
        *zip(miner.control_ids, miner.control, strict=False),
    ]
    return {key: key for key in (miner.worker, miner.owner, *miner.control)} | dict(ids)
