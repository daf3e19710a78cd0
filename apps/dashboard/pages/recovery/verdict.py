"""One sentence on a restore: whether the pool is in recovery, and who has to act."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.miners.selectors.miners import miners_with_restored_moves
from apps.sectors.selectors.restored import miners_unread, sectors_unpledged

if TYPE_CHECKING:
    from apps.messages.models import Recovery


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
