"""Reading senders: those that a viewer may see and set."""

from __future__ import annotations

from django.db.models import QuerySet

from apps.messages.errors import SenderNotFound
from apps.messages.models import Sender
from apps.users.models import SignerGrant
from apps.users.rules.principals import Principal
from apps.users.selectors.grants import signers_of
from poolsite.filecoin.address import BadAddress, address_format, address_parse


def senders_visible(viewer: Principal) -> QuerySet[Sender]:
    """Return the senders that the viewer may use; an operator sees all, a token for miners alone none."""
    rows = Sender.objects.order_by("pk")
    if viewer.is_partial:
        rows = rows.filter(address__in=viewer.signers)
    if viewer.is_operator:
        return rows
    # By grants, not by messages: those grow for ever.
    return rows.filter(address__in=signers_of(viewer).values("address"))


def sender_may_set(viewer: Principal, address: str) -> bool:
    """Return whether the viewer may change a sender's settings; if tenants share it, the operator may."""
    others = SignerGrant.objects.filter(address=address, deleted_at=None).exclude(tenant=viewer.own_id)
    return viewer.is_operator or not others.exists()


def sender_get(viewer: Principal, address: str) -> Sender:
    """Return one sender.  Raises SenderNotFound, also for what is no address."""
    try:
        address = address_format(address_parse(address))
    except BadAddress:
        raise SenderNotFound() from None
    row = senders_visible(viewer).filter(address=address).first()
    if row is None:
        raise SenderNotFound()
    return row
