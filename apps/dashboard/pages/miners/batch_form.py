"""The form of a miner's settings: its groups, choices and ceilings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.dashboard.forms import PageForm
from apps.dashboard.number_fields import Amount
from apps.dashboard.text_fields import Choice, Text
from apps.sectors.rules.policy import BASE_FEES, BATCH_FIELDS, LIMITS, SealingPolicy, range_problem
from poolsite.filecoin.porep.parameters import ChallengeRule

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

YES_NO: Final = ("yes", "no")
POREPS: Final[dict[ChallengeRule, StrOrPromise]] = {
    ChallengeRule.INTERACTIVE: _("interactive: the proof answers a seed drawn after the pre-commit"),
    ChallengeRule.SYNTHETIC: _("synthetic: layers are deleted before the pre-commit"),
    ChallengeRule.NON_INTERACTIVE: _("non-interactive: no pre-commit, no seed, one proof per message"),
}
GROUPS: Final[tuple[tuple[StrOrPromise, str, tuple[tuple[str, StrOrPromise], ...]], ...]] = (
    (
        _("Pre-commits"),
        "precommit",
        (
            ("precommit_batch_max", _("Sectors in one message")),
            ("precommit_wait_epochs", _("Wait for others, epochs")),
            ("precommit_backlog_epochs", _("Wait during a backlog, epochs")),
            ("precommit_slack_epochs", _("Send at once if a ticket or deposit expires within, epochs")),
        ),
    ),
    (
        _("Commits"),
        "commit",
        (
            ("commit_batch_max", _("Sectors in one message")),
            ("commit_wait_epochs", _("Wait for others, epochs")),
            ("commit_backlog_epochs", _("Wait during a backlog, epochs")),
            ("commit_batch_bytes", _("Bytes of proofs in one message")),
            ("aggregate_wait_s", _("Wait for the aggregate proof, seconds")),
        ),
    ),
    (
        _("Terminations"),
        "terminate",
        (
            ("terminate_batch_max", _("Sectors in one message")),
            ("terminate_wait_epochs", _("Wait for others, epochs")),
        ),
    ),
    (
        _("Extensions"),
        "extend",
        (
            ("extend_batch_max", _("Sectors in one message")),
            ("extend_wait_epochs", _("Wait for others, epochs")),
        ),
    ),
    (
        _("Updates with data"),
        "update",
        (
            ("update_batch_max", _("Sectors in one message")),
            ("update_wait_epochs", _("Wait for others, epochs")),
        ),
    ),
    (
        _("Clients' data"),
        "",
        (
            ("pack_wait_s", _("Wait for other pieces, seconds")),
            ("pack_start_slack_epochs", _("Start at once if a piece must be active within, epochs")),
        ),
    ),
    (
        _("Lifetime and pledge"),
        "",
        (
            ("sector_life_epochs", _("Lifetime of new sectors, epochs")),
            ("funds_margin_percent", _("Sent on top of the pledge, percent")),
        ),
    ),
    (
        _("Failures"),
        "",
        (
            ("attempts_max", _("Temporary failures of a stage before it is paused")),
            ("pause_s", _("First pause, seconds")),
            ("pause_max_s", _("Longest pause, seconds")),
        ),
    ),
)
"""Title, kind of batch as in `BASE_FEES`, and fields."""
CHOICES: Final[dict[str, tuple[StrOrPromise, StrOrPromise, StrOrPromise]]] = {
    "aggregate_commits": (_("Aggregate proof for four or more commits"), _("where cheaper"), _("never")),
    "snap_up_first": (_("Pieces that are due"), _("committed sectors first"), _("new sectors")),
    "send_funds": (
        _("Deposits and pledge"),
        _("the miner's balance, then the sender"),
        _("the miner's balance only"),
    ),
}
"""Of what is chosen: label, word for yes and for no."""


class Own(Text):
    """A count of the miner's own; empty: as the pool has it."""

    def clean(self, value: object) -> int | None:
        """Return the count, or None for the pool's.  Raises ValidationError."""
        text = super().clean(value)
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise ValidationError(_("enter a whole number"))
        return int(text)


def own_switch() -> Choice:
    """Return the field of a switch of the miner's own; empty: as the pool has it."""
    options = [(word, word) for word in ("", *YES_NO)]
    return Choice(options, coerce=lambda word: word == YES_NO[0], empty=None)


class OwnFee(Amount):
    """A base fee of the miner's own, 0 meaning no limit; empty: as the pool has it."""

    def __init__(self) -> None:
        super().__init__(is_fee=True)

    def clean(self, value: Any) -> int | None:  # type: ignore[override]  # empty is no amount here
        """Read attoFIL.  Raises ValidationError."""
        return super().clean(value) if Text.clean(self, value) else None

    def prepare_value(self, value: Any) -> Any:
        """Write attoFIL; 0 stays to be seen."""
        return "0" if value == 0 else super().prepare_value(value)


def ceiling_of(kind: str, pool: SealingPolicy) -> tuple[str, str] | None:
    """Return the field of a kind's ceiling with the pool's value; None for what is no message."""
    if kind not in BASE_FEES:
        return None
    most = getattr(pool, BASE_FEES[kind])
    return BASE_FEES[kind], formatting.fee_text(most) if most else str(_("no limit"))


class BatchesForm(PageForm):
    """The settings."""

    precommit_batch_max = Own()
    precommit_wait_epochs = Own()
    precommit_backlog_epochs = Own()
    commit_batch_max = Own()
    commit_wait_epochs = Own()
    commit_backlog_epochs = Own()
    terminate_batch_max = Own()
    terminate_wait_epochs = Own()
    extend_batch_max = Own()
    extend_wait_epochs = Own()
    update_batch_max = Own()
    update_wait_epochs = Own()
    precommit_base_fee_max = OwnFee()
    commit_base_fee_max = OwnFee()
    terminate_base_fee_max = OwnFee()
    extend_base_fee_max = OwnFee()
    update_base_fee_max = OwnFee()
    precommit_slack_epochs = Own()
    commit_batch_bytes = Own()
    aggregate_wait_s = Own()
    pack_wait_s = Own()
    pack_start_slack_epochs = Own()
    sector_life_epochs = Own()
    funds_margin_percent = Own()
    attempts_max = Own()
    pause_s = Own()
    pause_max_s = Own()
    aggregate_commits = own_switch()
    snap_up_first = own_switch()
    send_funds = own_switch()
    porep = Choice([("", ""), *((str(rule), label) for rule, label in POREPS.items())])
    """How new sectors are sealed."""

    def clean(self) -> dict[str, Any]:
        """Check each count, so that all that is wrong is shown at once."""
        for name in LIMITS:
            value = self.cleaned_data.get(name)
            if value is not None and (problem := range_problem(name, value)):
                self.add_error(name, problem)
        return self.cleaned_data

    def values(self) -> dict[str, int | bool | None]:
        """Return what is to be set."""
        return {name: self.cleaned_data[name] for name in BATCH_FIELDS}
