"""Recovery: why nothing is signed after a restore, and deciding about messages on chain without a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from apps.chain.node.client import chain_client
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.formatting import plural, shortened, whole
from apps.core.languages import clauses_text, list_text, sentence_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Fact, Verdict
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.pages.recovery.unmatched import SHOWN, choices_of
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.messages.selectors.recovery import recovery_row, senders_unread, unmatched_get, unmatched_open
from apps.messages.services.recovery.restore import recovery_end, unmatched_decide
from apps.miners.selectors.miners import miners_with_restored_moves
from apps.moves.services.heights import moves_settle
from apps.pieces.selectors import UNKNOWN_RETENTION, index_files_unknown, unknown_kept_before
from apps.sectors.selectors.restored import hosts_unreported, miners_unread, sectors_unpledged
from apps.sectors.services.sealing.pledge import pledges_settle
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.messages.models import Recovery
    from apps.miners.models import Miner


def is_on(row: Recovery) -> bool:
    """Return whether messages or sectors wait for what is read back."""
    return row.since is not None or row.sectors_since is not None


def moved_rows(row: Recovery) -> list[dict[str, str]]:
    """Return who proves the windows of moved miners, and the pages where that is set."""
    return [_moved_row(miner) for miner in miners_with_restored_moves(row)[:SHOWN]]


def _no_rows(_row: Recovery) -> list[dict[str, str]]:
    return []


def _moved_row(miner: Miner) -> dict[str, str]:
    page = "miner-move-out" if miner.works_until else "miner-move-in"
    if miner.works_until is None:
        text = gettext("the pool, from height {height} on").format(height=whole(miner.works_from or 0))
    elif miner.works_until:
        text = gettext("another program, from height {height} on").format(height=whole(miner.works_until))
    else:
        text = gettext("another program: not moved in yet")
    return {"name": miner.address, "href": reverse(page, args=[miner.address]), "words": text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the operator settles for the whole pool; a page of its own asks once more."""

    key: str
    text: StrOrPromise
    """On this page, above what it is about."""
    label: StrOrPromise
    """Of the button below."""
    title: StrOrPromise
    warning: StrOrPromise
    """On the page that asks once more."""
    is_open: Callable[[Recovery], bool]
    settle: Callable[..., object]
    rows: Callable[[Recovery], list[dict[str, str]]] = _no_rows
    """What it is about, each with name, address of its page and words."""
    is_danger: bool = False

    def confirm(self) -> ConfirmPage:
        """Return the page that asks once more."""
        return ConfirmPage(
            title=self.title,
            text=self.warning,
            label=self.title,
            back=reverse("recovery"),
            page=_("Recovery"),
            section="messages",
            hidden_fields=(("settle", self.key),),
            facts=tuple((row["name"], row["words"]) for row in self.rows(recovery_row())),
        )


QUESTIONS: Final = (
    Question(
        key="pledges",
        text=_(
            "The pledges that created these sectors are lost, and with them their idempotency keys: a "
            "program that repeats one would create its sectors again. Check the programs that pledge, then "
            "allow it."
        ),
        label=_("Allow pledges with a key…"),
        title=_("Allow pledges with a key"),
        warning=_(
            "A program that repeats a pledge made after the backup then creates its sectors a second time. "
            "Continue only if none does."
        ),
        is_open=lambda row: sectors_unpledged(row).exists(),
        settle=pledges_settle,
    ),
    Question(
        key="moves",
        text=_(
            "Which program proves these miners, according to the backup. If that has changed since, set the "
            "height again on the miner's page Move in or Move out."
        ),
        label=_("Confirm who proves…"),
        title=_("Confirm who proves after the restore"),
        warning=_(
            "A miner that another program proves at the same time, or that none proves, loses power. "
            "Continue only if you have checked each of them."
        ),
        is_open=lambda row: miners_with_restored_moves(row).exists(),
        settle=moves_settle,
        rows=moved_rows,
    ),
    Question(
        key="end",
        text=_(
            "Recovery ends automatically when nothing is left above. You can end it now if you know that "
            "nothing was sent or sealed since the backup."
        ),
        label=_("End recovery…"),
        title=_("End recovery"),
        warning=_(
            "What was not read back yet may then be paid or sealed a second time. Continue only if you know "
            "that nothing was sent or sealed since the backup."
        ),
        is_open=is_on,
        settle=recovery_end,
        is_danger=True,
    ),
)
QUESTIONS_BY_KEY: Final = {question.key: question for question in QUESTIONS}


def questions_of(row: Recovery) -> list[dict[str, Any]]:
    """List what is to be settled now, as the page shows it."""
    return [
        {
            "key": question.key,
            "text": question.text,
            "label": question.label,
            "rows": question.rows(row),
            "is_danger": question.is_danger,
        }
        for question in QUESTIONS
        if question.is_open(row)
    ]


NAMED: Final = 5
"""Senders, miners or hosts that are named; of more their number is told."""


def facts_of(row: Recovery) -> list[Fact]:
    """List how far messages and sectors are; empty where the database was never restored."""
    if row.restored_at is None:
        return []
    started = time_html(row.restored_at)
    facts = [
        Fact(pgettext_lazy("recovery", "Started"), started),
        Fact(_("Reason"), sentence_text(capfirst(shown_text(row.reason)))),
    ]
    matched = gettext("{messages} found and matched").format(messages=plural(row.matched, "message"))
    if row.since is not None:
        facts.append(
            Fact(
                _("Messages"),
                gettext("{matched}; the chain is read from height {height} on").format(
                    matched=matched, height=max(row.from_height, 0)
                ),
            )
        )
        facts += _left(
            gettext("Senders still to read"),
            senders_unread(row),
            "address",
            gettext("the signer must be connected"),
        )
    else:
        facts += [
            Fact(_("Messages"), matched),
            Fact(_("Signing since"), time_html(row.ended_at)),
        ]
    sectors = gettext("{sectors} imported or advanced").format(
        sectors=plural(row.sectors_recovered, "sector")
    )
    facts.append(Fact(_("Sectors"), sectors))
    consequence = gettext(
        "until you allow it below, pledges with an idempotency key are refused for their miners"
    )
    facts += _left(
        gettext("Sectors of lost pledges"), sectors_unpledged(row).select_related("miner"), "", consequence
    )
    facts += _unknown_files(row)
    if row.sectors_since is None:
        return facts
    facts += _left(
        gettext("Miners still to read"),
        miners_unread(row),
        "actor_id",
        gettext("after the messages of their senders"),
    )
    consequence = gettext("new sectors wait for them: start them, or retire them on page Hosts")
    return [*facts, *_left(gettext("Hosts to report"), hosts_unreported(row), "name", consequence)]


def _unknown_files(row: Recovery) -> list[Fact]:
    count = index_files_unknown() if unknown_kept_before(row, now=clock.now()) else 0
    if not row.restored_at or not count:
        return []
    text = gettext("{count} in PIECES_DIR, deleted {days} after the restore").format(
        count=whole(count), days=plural(UNKNOWN_RETENTION.days, "day")
    )
    return [Fact(_("Block indexes of unknown pieces"), text)]


def _left(title: str, rows: QuerySet[Any], field: str, consequence: str) -> list[Fact]:
    count = rows.count()
    if not count:
        return []
    if field in ("", "actor_id"):
        names = [str(row) for row in rows[:NAMED]]
    else:
        names = [str(name) for name in rows.values_list(field, flat=True)[:NAMED]]
    if field == "address":
        names = [shortened(name) for name in names]
    more = gettext(" and {count} more").format(count=count - NAMED) if count > NAMED else ""
    return [Fact(title, clauses_text((list_text(names) + more, consequence)))]


def verdict_of(row: Recovery, *, undecided: int) -> Verdict:
    """Return one sentence: whether the pool is in recovery, and who has to act."""
    if undecided:
        many = plural(undecided, "message")
        return Verdict(
            gettext("{many} to decide about.").format(many=many),
            _("Their senders sign nothing until you choose below."),
        )
    if row.since is not None:
        return Verdict(
            _("No messages are signed."), _("The pool is reading back what was sent since the backup.")
        )
    if row.sectors_since is not None and miners_unread(row).exists():
        return Verdict(
            _("Sectors are paused."), _("The pool is reading back what was sealed since the backup.")
        )
    if row.sectors_since is not None:
        return Verdict(_("Sealing hosts have to report."), _("Start or retire those named below."))
    if sectors_unpledged(row).exists():
        text = gettext("A program may repeat a pledge that the backup lacks: confirm below that none does.")
        return Verdict(_("Pledges with a key are refused."), text)
    if miners_with_restored_moves(row).exists():
        text = gettext("Check the heights below: the backup lacks those that were set since.")
        return Verdict(_("Confirm who proves moved miners after the restore."), text)
    if row.restored_at is not None:
        return Verdict(_("Recovery is done."), _("Messages are signed and sectors continue."))
    return Verdict(_("No recovery is needed."), _("The database is the one last used here."))


def context_of() -> dict[str, Any]:
    """Return what the page's parts need."""
    row = recovery_row()
    undecided = unmatched_open()
    found, count = list(undecided[:SHOWN]), undecided.count()
    parts = {
        "is_on": is_on(row),
        "facts": facts_of(row),
        "questions": questions_of(row),
        "left_out": count - len(found),
        **choices_of(found),
    }
    return {"verdict": verdict_of(row, undecided=count), "recovery": parts}


def all_parts(context: FragmentContext) -> Iterable[str]:
    """Render the sentence, the facts and the messages anew, for the operator alone."""
    if not context.viewer.is_operator:
        return
    shown = {**context_of(), "may_act": context.viewer.may("admin")}
    yield fragment("dashboard/_verdict.html", verdict=shown["verdict"])
    yield fragment("recovery/_state.html", **shown)
    yield fragment("recovery/_messages.html", **shown)


OUTSIDE: Final = "outside"
"""Value of the choice that a message was sent outside the pool."""


class DecisionForm(PageForm):
    """Which question is settled, or which message one on chain is."""

    settle = Choice(["", *QUESTIONS_BY_KEY])
    cid = Text()
    message = Text()


@sign_in_required
def recovery(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show what is left to do, and take a decision; the operator's alone."""
    form = DecisionForm.of(request)
    if not viewer.is_operator or (form.is_bound and not viewer.may("admin")):
        raise Http404
    if form.is_valid():
        question = QUESTIONS_BY_KEY.get(form.cleaned_data["settle"])
        if question is not None and not is_confirm_submitted(request):
            return confirm_page_render(request, viewer, question.confirm())
        with form.refusals():
            if question is not None:
                question.settle(principal=viewer, now=clock.now())
            else:
                _decide(viewer, form.cleaned_data)
            return redirect("recovery")
    return form_render(
        request,
        viewer,
        "recovery/page.html",
        form,
        title=_("Recovery"),
        section="messages",
        page_key="recovery",
        may_act=viewer.may("admin"),
        act_error=form.why,
        **context_of(),
    )


def _decide(viewer: Principal, sent: dict[str, str]) -> None:
    """Note which message one on chain is.  Raises DomainError."""
    if not sent["message"]:
        raise BadValue(gettext("choose which message it is"), field="message")
    unmatched_decide(
        principal=viewer,
        row=unmatched_get(sent["cid"]),
        message_id="" if sent["message"] == OUTSIDE else sent["message"],
        client=chain_client(),
        now=clock.now(),
    )


urlpatterns: Final = [
    path("recovery/", recovery, name="recovery"),
]
LIVE: Final = {"recovery": LivePage({"recovery": (all_parts,)})}
