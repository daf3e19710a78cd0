"""One action for many messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.chain.node.client import chain_client, page_client
from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import colon_text
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.messages.changes import head_needed, signer_only
from apps.dashboard.pages.messages.selection import BulkSelection, following, selection_read
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.messages.selectors.messages import messages_visible
from apps.messages.services.bulk import BULK_MAX, BULK_STATES, BulkResult, bulk_price, messages_bulk
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.messages.models import Message


REFUSED_SHOWN: Final = 20
BULK_TEXTS: Final = {
    "replace": (
        _("Raise fees"),
        _("Each keeps its nonce and gets a premium of at least 1.25 times the old one."),
    ),
    "republish": (_("Publish again"), _("Sends them to every node again; nothing new is signed.")),
    "retry-now": (
        _("Retry"),
        _(
            "Retries failed attempts at this head; messages that fail again restart their back-off. "
            "What would only be refused again is not retried."
        ),
    ),
    "cancel": (
        _("Cancel"),
        _("A zero-value transfer replaces each at its nonce for a higher premium, unless it lands first."),
    ),
    "mark-bad": (
        _("Mark as failed"),
        _("Signed messages may still land; gap fillers take the nonces of those that no node has."),
    ),
}
"""Title and effect of what can be done to a whole queue."""


def queue_of(viewer: Principal, action: str, selection: BulkSelection) -> QuerySet[Message]:
    """Return the picked messages for which an action is, in the order in which they would land."""
    rows = selection.rows(viewer).filter(state__in=BULK_STATES[action])
    if selection.last and (last := messages_visible(viewer).filter(pk=selection.last).first()):
        rows = following(rows, last)
    return rows.order_by("from_addr", "nonce", "created_at", "pk")


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def bulk(request: HttpRequest, viewer: Principal, action: str) -> HttpResponse:
    """Show what an action on the selected messages does and costs; apply it once that is confirmed.

    A link selects by its query.  Only a POST applies anything, and only to the messages that the review
    named, in the versions that it priced: others may have begun to fit the filter since, and fees may have
    been raised.
    """
    if action not in BULK_STATES:
        raise Http404
    signer_only(viewer)
    selection, rows = BulkSelection(), messages_visible(viewer).none()
    done, error = None, ""
    try:
        is_sent = request.method == "POST"
        selection = selection_read(request.POST if is_sent else request.GET, takes_filter=not is_sent)
        rows = queue_of(viewer, action, selection)
        if "confirmed" in request.POST and selection.ids:
            done = messages_bulk(
                action,
                rows=rows[:BULK_MAX],
                client=chain_client(),
                head=head_needed(),
                now=now(),
                by=viewer,
                cids=set(request.POST.getlist("cid")),
            )
            rows = rows.none()  # some of them stay what the action is for
    except DomainError as refusal:
        error = refusal_text(refusal)
    first, count = list(rows[:BULK_MAX]), rows.count()
    title, effect = BULK_TEXTS[action]
    heading = title if done else colon_text(title, plural(count, "message"))
    rest = rest_query(selection, first[-1]) if 0 < len(first) < count else request.POST.get("rest", "")
    return page_render(
        request,
        "messages/bulk.html",
        title=heading,
        section="messages",
        data=PageData(viewer),
        status=422 if error else 200,
        heading=heading,
        effect=effect,
        count=count,
        once=len(first),
        price="" if error or done else price_text(action, first),
        fields=[
            *selection.pairs,
            ("rest", rest),
            *(("id", row.pk) for row in first),
            *(("cid", cid) for cid in sorted({row.cid for row in first})),
        ],
        rest=rest if done else "",
        done=done_text(done) if done else "",
        refused=[(row.pk, why) for row, why in done.refused[:REFUSED_SHOWN]] if done else [],
        error=error,
        is_danger=action in ("cancel", "mark-bad"),
        verb=title,
        back=f"{reverse('messages')}?{urlencode([one for one in selection.pairs if one[0] != 'shown_at'])}",
    )


def rest_query(selection: BulkSelection, last: Message) -> str:
    """Return the query of the review of what comes after the messages that one review names."""
    return urlencode([*selection.pairs, ("last", last.pk)])


def price_text(action: str, rows: list[Message]) -> str:
    """Return what the change costs, in one sentence; why that is not known where the node does not tell."""
    try:
        price = bulk_price(action, rows=rows, client=page_client(), head=head_needed())
    except DomainError as refusal:
        return gettext("Cost unknown: {reason}.").format(reason=refusal_text(refusal))
    if price is None:
        return gettext("This costs nothing.") if rows else ""
    return gettext(
        "At the current base fee, gas costs {now} FIL instead of {before} FIL, at most {most} FIL."
    ).format(
        now=formatting.fil(price.now), before=formatting.fil(price.before), most=formatting.fil(price.most)
    )


def done_text(done: BulkResult) -> str:
    """Return what came of it in one sentence."""
    text = gettext("{messages} done").format(messages=plural(len(done.done), "message"))
    return (
        gettext("{words}, {refused} refused").format(words=text, refused=formatting.whole(len(done.refused)))
        if done.refused
        else text
    )


urlpatterns: Final = [
    path("messages-bulk/<str:action>/", bulk, name="messages-bulk"),
]
