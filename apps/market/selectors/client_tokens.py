"""Reading clients' tokens, and what such a token shows."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from apps.core.filters import Choices, ListFilters, Words
from apps.core.marked_texts import gettext
from apps.core.reasons import REFUSED, Reason, code_of
from apps.core.uuids import uuid_read
from apps.market.errors import RETRY, ClientTokenRefused, ClientTokenUnknown, DealRefused, DealUnknown
from apps.market.models import ClientToken, Deal
from apps.market.reasons import PUBLISHED_LATE
from apps.market.states import DealState
from apps.pieces.data.blocks import car_roots
from apps.pieces.errors import PieceUnknown
from apps.pieces.selectors import piece_name, piece_retrievable
from apps.users.rules.principals import Principal
from apps.users.selectors.tokens import token_digest

CLIENT_REFUSAL: Final = f"{REFUSED}{DealRefused.code}"
"""Code of refusals in the words that their client heard; others are the miner's people's alone."""


class OwnDealFilters(ListFilters):
    """Filters of the deals that a client's token shows."""

    q = Words(label=_("Piece CID or deal"), method="named")
    state = Choices(DealState.values, lookup_expr="in", refusal=_("there is no such state"))

    def named(self, rows: QuerySet[Deal], _name: str, value: str) -> QuerySet[Deal]:
        """Find by a piece's CID of either version, or by the deal's own name."""
        key = uuid_read(value)
        if key is not None:
            return rows.filter(uuid=key)
        return rows.filter(piece_cid__in=piece_name(value).cids)


def client_tokens(viewer: Principal, client: str) -> QuerySet[ClientToken]:
    """Return a client's tokens that this caller may know of, the newest first."""
    rows = ClientToken.objects.filter(client=client).select_related("tenant").order_by("-pk")
    if viewer.is_partial:
        return rows.none()
    return rows if viewer.is_operator else rows.filter(tenant_id=viewer.own_id)


def client_token_get(viewer: Principal, client: str, key: uuid.UUID) -> ClientToken:
    """Return a client's token.  Raises ClientTokenUnknown, also for one of another tenant."""
    row = client_tokens(viewer, client).filter(uuid=key).first()
    if row is None:
        raise ClientTokenUnknown
    return row


def client_token_by_text(text: str) -> ClientToken | None:
    """Return the row of a token, good or not."""
    return ClientToken.objects.select_related("tenant").filter(digest=token_digest(text)).first()


def client_token_by_uuid(key: str) -> ClientToken | None:
    """Return the same by the token's name."""
    name = uuid_read(key)
    return None if name is None else ClientToken.objects.select_related("tenant").filter(uuid=name).first()


def client_token_check(row: ClientToken | None, *, now: datetime) -> ClientToken:
    """Return a token that is good.  Raises ClientTokenRefused."""
    if row is None:
        raise ClientTokenRefused(gettext("this token is not known here"))
    if row.revoked_at is not None:
        raise ClientTokenRefused(gettext("this token was revoked"))
    if row.expires_at is not None and row.expires_at <= now:
        raise ClientTokenRefused(gettext("this token has expired"))
    if row.tenant is not None and not row.tenant.is_open:
        raise ClientTokenRefused(gettext("this token's provider is disabled"))
    return row


def own_deals(token: ClientToken) -> QuerySet[Deal]:
    """Return the deals that a token shows, newest first."""
    rows = Deal.objects.select_related("miner__tenant", "piece").filter(client=token.client).order_by("-pk")
    return rows if token.tenant_id is None else rows.filter(miner__tenant=token.tenant_id)


def own_deal(token: ClientToken, name: str) -> Deal:
    """Return one of these deals by its UUID.  Raises DealUnknown, also for other clients' deals."""
    key = uuid_read(name)
    deal = None if key is None else own_deals(token).filter(uuid=key).first()
    if deal is None:
        raise DealUnknown(name)
    return deal


def reason_told(deal: Deal) -> str:
    """Return why a deal was refused or failed, in the words that its client heard.

    Not what held it up before: that the miner's balance or its signer did is its people's alone.
    """
    reason: str = deal.reason
    if deal.state == DealState.FAILED:
        first = reason.values.get("one", "") if isinstance(reason, Reason) else ""
        return first if code_of(first) == PUBLISHED_LATE.code else reason
    if deal.state != DealState.REFUSED:
        return ""
    return reason if code_of(reason) == CLIENT_REFUSAL else RETRY


@dataclass(frozen=True, slots=True)
class DataBack:
    """Where anybody gets a deal's data."""

    piece_cid: str
    roots: list[str]
    """CIDs within the piece from which its blocks can be followed; empty where they are not indexed."""


def data_back(deal: Deal) -> DataBack | None:
    """Return where a deal's data are served; None if they are not."""
    if deal.state not in (DealState.ACTIVE, DealState.ENDED):
        return None
    try:
        piece = piece_retrievable(deal.piece_cid)
    except PieceUnknown:
        return None
    return DataBack(deal.piece_cid, car_roots(piece))
