"""Messages: the list, and one message with its diagnosis and history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from apps.dashboard import numbers
from apps.dashboard.lines.acts import Act
from apps.dashboard.lines.messages import html_key, message_line, message_why, message_word
from apps.dashboard.lines.methods import method_words, receiver_kind
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.scene import Scene
from apps.dashboard.regions.sectors import Event, Fact
from apps.dashboard.regions.today import Verdict, messages_waiting, plural
from apps.messages.errors import MessageNotFound
from apps.messages.selectors import message_events, message_get, messages_visible
from apps.messages.states import MessageState
from poolsite.filecoin.actors.decode import params_decode
from poolsite.filecoin.actors.exitcodes import exit_code_words
from poolsite.filecoin.cbor import BadCbor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.messages.models import Message, MessageEvent
    from apps.users.principals import Principal

PARAM_CUT: Final = 400
"""Characters of one parameter that the page shows; a proof is longer than a screen."""


@dataclass(frozen=True, slots=True)
class MessageDetail:
    """The whole of one message."""

    key: str
    """The caller's id."""
    html_key: str
    method: str
    tone: str
    word: str
    icon: str
    tags: tuple[str, ...]
    say: str
    why: str
    facts: tuple[Fact, ...]
    params: tuple[Fact, ...]
    checks: tuple[Check, ...]
    history: tuple[Event, ...]
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the diagnosis, in the order in which the chain would refuse."""

    what: str
    value: str
    tone: str
    word: str

    @property
    def icon(self) -> str:
        return "wait" if self.tone == "idle" else self.tone


def list_verdict_of(viewer: Principal) -> Verdict:
    """Say in one sentence what is on its way."""
    waiting = messages_waiting(viewer)
    flight, queued = waiting.get(MessageState.FILLED, 0), waiting.get(MessageState.UNFILLED, 0)
    if not flight and not queued:
        return Verdict("Nothing waits.", "Every message that was pushed has its end.")
    return Verdict(
        f"{plural(flight + queued, 'message')} on the way:",
        f"{flight} signed, {queued} waiting for the next head.",
    )


def list_verdict(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(place.viewer))


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    scene = Scene(place.viewer)
    for message in messages_visible(place.viewer).filter(pk__in=keys):
        yield fragment("messages/_row.html", message=message_line(message, scene.names))


def message_detail(message: Message, scene: Scene) -> MessageDetail:
    """Lay out the whole of one message."""
    word = message_word(message)
    why, _ = message_why(message)
    names = scene.names
    sender = names.wallets.get(message.from_addr) or message.from_addr
    receiver = names.miners.get(message.to) or names.wallets.get(message.to) or message.to
    return MessageDetail(
        key=message.id,
        html_key=html_key(message.id),
        method=method_words(message.to, message.method, kind=message.kind, miners=names.miners),
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        tags=tuple(
            tag
            for tag in (
                f"method {message.method}",
                message.kind.replace("_", " "),
                "time-sensitive" if message.time_sensitive else "",
            )
            if tag
        ),
        say=f"From {sender} to {receiver}, pushed by {message.pushed_by or 'the pool'}.",
        why=why,
        facts=tuple(chain_facts(message)),
        params=tuple(param_facts(message, miners=set(names.miners))),
        checks=tuple(message_checks(message, scene)),
        history=tuple(history_of(message)),
        acts=message_acts(message, scene.viewer),
    )


def chain_facts(message: Message) -> Iterable[Fact]:
    """What the chain has of it, or will have."""
    yield Fact("CID", message.cid or numbers.NOTHING, mono=True)
    yield Fact("From", message.from_addr, mono=True)
    yield Fact("To", message.to, mono=True)
    yield Fact("Value", f"{numbers.fil(message.value)} FIL")
    yield Fact("Nonce", numbers.whole(message.nonce))
    yield Fact("Gas limit", numbers.whole(message.gas_limit) if message.gas_limit else numbers.NOTHING)
    yield Fact(
        "Fee cap, premium",
        f"{numbers.fee_words(message.gas_fee_cap)}, {numbers.fee_words(message.gas_premium)}",
    )
    if message.state == MessageState.LANDED:
        yield Fact("Epoch", numbers.whole(message.height))
        yield Fact("Exit code", f"{message.exit_code}, {exit_code_words(message.exit_code)}")
        yield Fact("Gas used", numbers.whole(message.gas_used))
        yield Fact("Returned", bytes(message.return_data).hex()[:PARAM_CUT] or "nothing", mono=True)


def param_facts(message: Message, *, miners: set[str]) -> Iterable[Fact]:
    """The parameters as readable fields; raw bytes where they do not decode."""
    data = bytes(message.params)
    if not data:
        yield Fact("Parameters", "none")
        return
    kind = receiver_kind(message.to, kind=message.kind, miners=miners)
    try:
        fields = params_decode(kind, message.method, data)
    except (BadCbor, KeyError):
        fields = None
    if not isinstance(fields, dict):
        yield Fact("Parameters", _cut(data.hex()), mono=True)
        return
    for name, value in fields.items():
        yield Fact(name, _cut(_text(value)), mono=not isinstance(value, int))


def _text(value: Any) -> str:
    return ", ".join(_text(part) for part in value) if isinstance(value, list | tuple) else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= PARAM_CUT else f"{text[:PARAM_CUT]}… ({len(text)} characters)"


def message_checks(message: Message, scene: Scene) -> Iterable[Check]:
    """Look at what could hold a message up; nothing for one that has its end."""
    if message.is_final:
        return
    wallet = next((w for w in scene.wallets if w.address == message.from_addr), None)
    if wallet is None or not wallet.is_served(scene.at):
        yield Check("Signer", "no connected signer holds the key", "bad", "away")
    else:
        yield Check("Signer", "connected", "ok", "here")
    if wallet is not None:
        need = message.value + message.gas_fee_cap * message.gas_limit
        enough = (wallet.balance or 0) >= need
        yield Check(
            "Funds",
            f"{numbers.fil(wallet.balance)} FIL held, {numbers.fil(need)} needed at most",
            "ok" if enough else "bad",
            "enough" if enough else "too little",
        )
        if message.nonce is not None and wallet.nonce is not None:
            ahead = message.nonce - wallet.nonce
            yield Check(
                "Nonce",
                f"{message.nonce}; the chain wants {wallet.nonce}",
                "ok" if ahead <= 0 else "idle",
                "next" if ahead <= 0 else f"{ahead} before it",
            )
    if message.nonce is None:
        yield Check("Nonce", "given when it is signed", "idle", "not yet")
    pulse_fee = scene.head_base_fee
    if message.gas_fee_cap and pulse_fee is not None:
        enough = message.gas_fee_cap >= pulse_fee
        yield Check(
            "Fee cap",
            f"{numbers.fee_words(message.gas_fee_cap)}; base fee {numbers.fee_words(pulse_fee)}",
            "ok" if enough else "bad",
            "above" if enough else "below",
        )


def history_of(message: Message) -> Iterable[Event]:
    """What happened to it, newest first."""
    lines = [
        (
            message.created_at,
            Event(
                str(numbers.moment(message.created_at)),
                "idle",
                "plus",
                "Pushed",
                f"by {message.pushed_by or 'the pool'}",
            ),
        )
    ]
    if message.filled_at is not None:
        sub = f"nonce {numbers.whole(message.nonce)}, fee cap {numbers.fee_words(message.gas_fee_cap)}"
        lines.append(
            (
                message.filled_at,
                Event(str(numbers.moment(message.filled_at)), "run", "key", "Nonce given and signed", sub),
            )
        )
    if message.published_at is not None:
        lines.append(
            (
                message.published_at,
                Event(str(numbers.moment(message.published_at)), "run", "messages", "Taken by a node"),
            )
        )
    if message.landed_at is not None and message.state == MessageState.LANDED:
        tone = "bad" if message.exit_code else "ok"
        say = f"exit code {message.exit_code}, gas {numbers.whole(message.gas_used)}"
        lines.append(
            (
                message.landed_at,
                Event(
                    str(numbers.moment(message.landed_at)),
                    tone,
                    tone,
                    f"Landed in epoch {numbers.whole(message.height)}",
                    say,
                ),
            )
        )
    lines += [(event.at, _event(event)) for event in message_events(message)]
    return [line for _, line in sorted(lines, key=lambda pair: pair[0], reverse=True)]


def _event(event: MessageEvent) -> Event:
    say = event.event.replace("_", " ").capitalize()
    return Event(str(numbers.moment(event.at)), "idle", "info", say, event.text)


def message_acts(message: Message, viewer: Principal) -> tuple[Act, ...]:
    """What a person can do about a message now."""
    if not viewer.may("sign"):
        return ()
    if message.state == MessageState.FILLED:
        return (Act("replace", "Raise its fees", reverse("message-replace", args=[message.id])),)
    if message.state == MessageState.UNFILLED:
        return (Act("mark-bad", "Give up…", reverse("message-mark-bad", args=[message.id]), kind="danger"),)
    return ()


def detail_region(place: Place) -> Iterable[str]:
    """All that changes on a message's page."""
    try:
        message = message_detail(message_get(place.viewer, place.key), Scene(place.viewer))
    except MessageNotFound:
        return
    yield fragment("messages/_state.html", message=message)
    yield fragment("messages/_checks.html", message=message, checks=message.checks)
    yield fragment("messages/_facts.html", facts=message.facts, title="On the chain", key="message-facts")
    yield fragment("sectors/_timeline.html", events=message.history, key="message")


def detail_on_head(place: Place) -> Iterable[str]:
    """On a head only the diagnosis changes, and that only while the message waits."""
    try:
        row = message_get(place.viewer, place.key)
    except MessageNotFound:
        return
    if not row.is_final:
        yield from detail_region(place)


REGIONS: Final[Regions] = {"message": (detail_region,), "head": (detail_on_head,)}
