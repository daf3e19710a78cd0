"""Messages with every version that was signed, their timelines, and how far the chain was read."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

from apps.core.fields import AddressField, AttoFilField, CidField
from apps.core.models import Timestamped
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons
from apps.messages.states import TRANSITIONS, MessageState, Priority, Wait
from apps.users.models import Tenant
from poolsite.filecoin.actors.decode import params_alike
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.message import Message as ChainMessage

MESSAGE_ID_MAX = 256
"""Longest id that a caller may choose; the messager's column had the same."""


WITHDRAWALS: Final = (int(Method.WITHDRAW_BALANCE), int(Method.WITHDRAW_BALANCE_EXPORTED))
"""Methods by which a miner pays out what it has earned."""

CONTENT: Final = ("from_", "to", "value", "method")
"""What makes a message of the chain the same payment, beside what its parameters say; no nonce, no fees."""


class Message(WithReasons, Timestamped):
    """One message.

    `id` names it in the whole pool, over all tenants: logs, events and other tables use it.  `push_id` is
    what its caller calls it and makes pushing idempotent; two tenants may use the same one.
    """

    States = MessageState
    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = TRANSITIONS

    id = models.CharField(primary_key=True, max_length=MESSAGE_ID_MAX)
    """A UUID; where the pool itself pushes, the id it chose, which holds the UUID of a row."""
    push_id = models.CharField(max_length=MESSAGE_ID_MAX)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.PROTECT, related_name="messages")
    """Whose message it is; None for the pool's own, such as gap fillers of a shared sender."""
    pushed_by = models.CharField(max_length=200, blank=True, default="")
    """Name of the caller, as the messager's WalletName."""
    people = models.TextField(blank=True, default="", db_default="")
    """Usernames of the people behind it, a line each: none of them approves it."""
    needs_approval = models.BooleanField(default=False, db_default=False)
    """Waits for a second person: it gets neither nonce nor signature before."""
    kind = models.CharField(max_length=32, blank=True, default="")
    """What it is for, in the words of the app that pushed it; empty from outside."""
    state = models.CharField(max_length=16, choices=MessageState.choices, default=MessageState.UNFILLED)
    priority = models.SmallIntegerField(choices=Priority.choices, default=Priority.REST)
    time_sensitive = models.BooleanField(default=False)
    urgent_epoch = models.BigIntegerField(null=True)
    """Epoch by which it should land; orders messages of one priority."""

    to = AddressField()
    from_addr = AddressField()
    value = AttoFilField(default=0)
    method = models.BigIntegerField()
    params = models.BinaryField(default=b"")
    gas_limit = models.BigIntegerField(default=0)
    gas_fee_cap = AttoFilField(default=0)
    gas_premium = AttoFilField(default=0)
    nonce = models.BigIntegerField(null=True)

    max_fee = AttoFilField(default=0)
    gas_over_estimation = models.FloatField(default=0)
    gas_over_premium = models.FloatField(default=0)
    expire_epoch = models.BigIntegerField(default=0)
    """Last epoch at which it may be chosen; 0 means no end."""
    hold_base_fee = AttoFilField(default=0)
    """Above this base fee it waits; 0 means no such limit."""
    hold_until = models.BigIntegerField(default=0)
    """Epoch at which it goes whatever the base fee is; 0 means no end."""
    pushed_height = models.BigIntegerField(default=0)
    """Newest head when it was pushed."""

    signed = models.BinaryField(default=b"")
    """The signed message as CBOR."""
    cid = CidField(blank=True, default="")
    """On chain: of the signed message for secp256k1, of the unsigned one for BLS."""
    unsigned_cid = CidField(blank=True, default="")
    filled_at = models.DateTimeField(null=True)
    exported_at = models.DateTimeField(null=True)
    """When it got its nonce to be signed offline; None: a signer signs it.  Until the signature is imported
    `signed` is empty, and the nonce is nobody else's."""
    published_at = models.DateTimeField(null=True)
    """When a node first took this version."""

    height = models.BigIntegerField(default=0)
    """Of the tipset that includes it."""
    tipset_key = models.TextField(blank=True, default="")
    executed_key = models.TextField(blank=True, default="")
    """Key of the tipset that executed it: when that one is reverted, so is the landing."""
    landed_cid = CidField(blank=True, default="")
    """What landed with its nonce: itself, an earlier version, or a foreign message."""
    exit_code = models.IntegerField(default=-1)
    gas_used = models.BigIntegerField(default=0)
    gas_cost = AttoFilField(default=0)
    """attoFIL that its gas cost the sender; 0 where another message landed in its place."""
    return_data = models.BinaryField(default=b"")
    landed_at = models.DateTimeField(null=True)

    wait = models.CharField(max_length=16, choices=Wait.choices, blank=True, default=Wait.NEXT_HEAD)
    error = ReasonCharField(max_length=2000, blank=True, default="")
    error_coded = CodedField()
    attempts = models.PositiveIntegerField(default=0)
    retry_height = models.BigIntegerField(default=0)
    """After a failed attempt it is not tried before this height, so that it holds up no other."""
    fee_bumped_height = models.BigIntegerField(default=0)
    """Head at which its fees were last raised because its deadline is near."""

    class Meta:
        indexes = [
            # Every index that a head uses is partial on open states: landed rows cost nothing there.
            models.Index(
                fields=["from_addr", "priority", "urgent_epoch", "created_at"],
                name="message_unfilled",
                condition=Q(state="UNFILLED"),
            ),
            models.Index(
                fields=["expire_epoch"],
                name="message_expires",
                condition=Q(state="UNFILLED", expire_epoch__gt=0),
            ),
            models.Index(
                fields=["created_at"],
                name="message_unapproved",
                condition=Q(state="UNFILLED", needs_approval=True),
            ),
            models.Index(fields=["from_addr", "nonce"], name="message_filled", condition=Q(state="FILLED")),
            # Counts read only what is unfilled or in flight: landed and failed rows cost nothing.
            models.Index(
                fields=["tenant", "state", "from_addr"],
                name="message_open",
                condition=Q(state__in=["UNFILLED", "FILLED"]),
            ),
            # A query for more than 100 keys or CIDs must exclude "": PostgreSQL proves it for no longer list.
            models.Index(fields=["executed_key"], name="message_executed", condition=~Q(executed_key="")),
            models.Index(fields=["cid"], name="message_cid", condition=~Q(cid="")),
            models.Index(fields=["unsigned_cid"], name="message_unsigned", condition=~Q(unsigned_cid="")),
            models.Index(fields=["from_addr", "nonce"], name="message_from_nonce"),
            models.Index(F("tenant"), F("created_at").desc(), F("id").desc(), name="message_tenant_page"),
            models.Index(F("created_at").desc(), F("id").desc(), name="message_page"),
            models.Index(F("from_addr"), F("created_at").desc(), F("id").desc(), name="message_from_page"),
            models.Index(F("to"), F("created_at").desc(), F("id").desc(), name="message_to_page"),
            models.Index(
                F("to"),
                F("created_at").desc(),
                name="message_window_post",
                condition=Q(kind="window_post", gas_limit__gt=0),
            ),
            # Pages of messages that have not landed must not read through those that have.
            models.Index(
                F("state"),
                F("created_at").desc(),
                F("id").desc(),
                name="message_odd_page",
                condition=~Q(state="LANDED"),
            ),
            models.Index(
                F("created_at").desc(),
                F("id").desc(),
                name="message_refused_page",
                condition=Q(state="LANDED") & ~Q(exit_code=0),
            ),
            models.Index(
                F("tenant"),
                F("state"),
                F("created_at").desc(),
                F("id").desc(),
                name="message_tenant_odd",
                condition=~Q(state="LANDED"),
            ),
            models.Index(
                F("tenant"),
                F("created_at").desc(),
                F("id").desc(),
                name="message_tenant_refused",
                condition=Q(state="LANDED") & ~Q(exit_code=0),
            ),
            models.Index(
                F("kind"),
                F("created_at").desc(),
                F("id").desc(),
                name="message_kind_page",
                condition=~Q(kind=""),
            ),
            # What moved a miner's money besides gas; the methods are WithdrawBalance and its exported number.
            models.Index(
                fields=["to", "height"],
                name="message_moved_money",
                condition=Q(state="LANDED", exit_code=0) & (Q(value__gt=0) | Q(method__in=WITHDRAWALS)),
            ),
            models.Index(F("updated_at").desc(), name="message_updated"),
            # What failed in the last day, however old the message is.
            models.Index(
                F("updated_at").desc(),
                F("id").desc(),
                name="message_given_up",
                condition=Q(state="FAILED"),
            ),
            models.Index(
                F("landed_at").desc(),
                F("id").desc(),
                name="message_refused",
                condition=Q(state="LANDED") & ~Q(exit_code=0),
            ),
        ]
        constraints = [
            # The id comes first: operators search for it in all tenants.
            models.UniqueConstraint(
                fields=["push_id", "tenant"], nulls_distinct=False, name="message_push_id_once"
            ),
            models.UniqueConstraint(
                fields=["from_addr", "nonce"],
                condition=Q(state__in=["FILLED", "LANDED"]),
                name="message_nonce_once",
            ),
            models.CheckConstraint(
                condition=~Q(state="FILLED") | Q(nonce__isnull=False), name="message_filled_has_nonce"
            ),
            # Whatever forgets to ask for the approval signs nothing.
            models.CheckConstraint(
                condition=Q(needs_approval=False) | Q(state__in=["UNFILLED", "FAILED"]),
                name="message_unapproved_has_no_nonce",
            ),
        ]

    def __str__(self) -> str:
        return self.push_id

    @property
    def from_(self) -> str:
        """The sender."""
        return str(self.from_addr)

    @property
    def return_(self) -> bytes:
        """Return what the method returned, in CBOR."""
        return bytes(self.return_data)

    @property
    def is_exported(self) -> bool:
        """Return whether it has its nonce and waits for a signature that is made offline."""
        is_unsigned = self.state == MessageState.FILLED and not self.signed
        return is_unsigned and self.exported_at is not None

    @property
    def is_final(self) -> bool:
        """Return whether nothing happens to it by itself any more, apart from a reorganisation."""
        return self.state in (MessageState.LANDED, MessageState.FAILED, MessageState.REPLACED)

    @property
    def has_succeeded(self) -> bool:
        """Return whether it landed and did what it was for."""
        return self.state == MessageState.LANDED and self.exit_code == 0

    def chain_message(self) -> ChainMessage:
        """Return the message as the chain knows it, with what it has of nonce and gas."""
        return ChainMessage(
            to=address_parse(self.to),
            from_=address_parse(self.from_addr),
            nonce=self.nonce or 0,
            value=self.value,
            gas_limit=self.gas_limit,
            gas_fee_cap=self.gas_fee_cap,
            gas_premium=self.gas_premium,
            method=self.method,
            params=bytes(self.params),
        )

    def has_content(self, message: ChainMessage) -> bool:
        """Return whether this is the message, whatever its nonce and fees are."""
        own = self.chain_message()
        return all(getattr(own, name) == getattr(message, name) for name in CONTENT) and params_alike(
            own.to, own.method, own.params, message.params
        )


class SignedVersion(models.Model):
    """A signed version that a newer one took the place of; it is out there and may still land."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="versions")
    cid = CidField(unique=True)
    unsigned_cid = CidField()
    signed = models.BinaryField()
    gas_limit = models.BigIntegerField()
    gas_fee_cap = AttoFilField()
    gas_premium = AttoFilField()
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.cid} of {self.message_id}"


class MessageEvent(WithReasons):
    """One line of a message's timeline."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    height = models.BigIntegerField(default=0)
    event = models.CharField(max_length=32)
    text = ReasonCharField(max_length=1000, blank=True, default="")
    """Why, or with what; without a code it is a name, an id or a CID."""
    text_coded = CodedField()

    class Meta:
        indexes = [models.Index(fields=["message", "at"], name="message_event_line")]
        ordering = ("at", "pk")

    def __str__(self) -> str:
        return f"{self.message_id} {self.event}"


class Tracker(models.Model):
    """The last head whose landings are written; a single row."""

    height = models.BigIntegerField(default=-1)
    key = models.TextField(blank=True, default="")
    version = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"tracker at {self.height}"
