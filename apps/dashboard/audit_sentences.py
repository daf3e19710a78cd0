"""Entries of the audit log as sentences: who did what, with links to what it was done to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.uuids import is_uuid
from apps.sectors.rules.sector_names import sector_name_parse

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.users.models import AuditEntry

SENTENCES: Final[dict[str, StrOrPromise]] = {
    "account.approve": _("{actor} decided who serves {object}"),
    "alert.acknowledge": _("{actor} acknowledged alert {object}"),
    "alert.comment": _("{actor} commented on alert {object}"),
    "alert.unacknowledge": _("{actor} no longer works on alert {object}"),
    "alerts.channel.add": _("{actor} added notification channel {object}"),
    "alerts.channel.remove": _("{actor} removed notification channel {object}"),
    "alerts.channel.set": _("{actor} changed notification channel {object}"),
    "alerts.channel.test": _("{actor} sent a test notification to {object}"),
    "approval.rule.add": _("{actor} added approval rule {object}"),
    "approval.rule.removal-cancel": _("{actor} withdrew the removal of approval rule {object}"),
    "approval.rule.removal-request": _("{actor} asked for the removal of approval rule {object}"),
    "approval.rule.remove": _("{actor} removed approval rule {object}"),
    "auto-rule.act": _("{actor} acted by automatic rule {object}"),
    "auto-rule.add": _("{actor} added automatic rule {object}"),
    "auto-rule.remove": _("{actor} removed automatic rule {object}"),
    "auto-rule.set": _("{actor} changed automatic rule {object}"),
    "auto-rule.stop": _("{actor} stopped automatic rule {object}"),
    "auto-rule.switch": _("{actor} turned automatic rule {object} on or off"),
    "billing.correct": _("{actor} corrected the charges of {object}"),
    "billing.terms": _("{actor} set the terms of {object}"),
    "chain.unbind": _("{actor} unbound the pool from network {object}"),
    "check.mute": _("{actor} muted check {object}"),
    "check.severity": _("{actor} set the severity of check {object}"),
    "check.unmute": _("{actor} unmuted check {object}"),
    "claims.extend": _("{actor} extended claims of {object}"),
    "client.token-create": _("{actor} created a token of client {object}"),
    "client.token-revoke": _("{actor} revoked a token of client {object}"),
    "console.join": _("{actor} added console machine {object}"),
    "console.remove": _("{actor} removed console machine {object}"),
    "deal.end": _("{actor} ended deal {object}"),
    "deal.fetch": _("{actor} had the data of deal {object} downloaded"),
    "deal.import": _("{actor} imported the data of deal {object}"),
    "devnet.reset_faults": _("{actor} ended the injected faults of {object}"),
    "devnet.set_faults": _("{actor} injected faults into {object}"),
    "gas.auto-bump.set": _("{actor} changed the automatic fee increase of {object}"),
    "gas.guard.remove": _("{actor} removed fee guard {object}"),
    "gas.guard.set": _("{actor} changed fee guard {object}"),
    "gateway.disconnect": _("{actor} disconnected {object}"),
    "gateway.reverse": _("{actor} connected to {object}"),
    "import": _("{actor} imported {object}"),
    "log.level": _("{actor} changed the log level of {object}"),
    "login": _("{actor} signed in"),
    "login.refuse": _("{actor} refused to let {object} in"),
    "market.set": _("{actor} changed the market settings of {object}"),
    "market.settle": _("{actor} had the deals of {object} settled"),
    "message.approve": _("{actor} approved message {object}"),
    "message.cancel": _("{actor} cancelled message {object}"),
    "message.clear": _("{actor} cleared the error of message {object}"),
    "message.export": _("{actor} exported message {object} for offline signing"),
    "message.mark-bad": _("{actor} marked message {object} failed"),
    "message.mark-bad-all": _("{actor} marked {object} failed"),
    "message.push": _("{actor} pushed message {object}"),
    "message.recover": _("{actor} recovered message {object}"),
    "message.refuse": _("{actor} refused message {object}"),
    "message.replace": _("{actor} replaced message {object}"),
    "message.republish": _("{actor} published message {object} again"),
    "message.republish-all": _("{actor} published {object} again"),
    "message.retry": _("{actor} pushed message {object} again"),
    "message.retry-all": _("{actor} retried {object} at once"),
    "message.retry-now": _("{actor} retried message {object} at once"),
    "message.search": _("{actor} searched the chain for message {object}"),
    "message.sign-import": _("{actor} imported the signature of message {object}"),
    "miner.address-change": _("{actor} changed addresses of miner {object}"),
    "miner.batches": _("{actor} changed the batch settings of miner {object}"),
    "miner.batches-send": _("{actor} sent the waiting sectors of miner {object}"),
    "miner.create": _("{actor} created miner {object}"),
    "miner.grant": _("{actor} granted miner {object}"),
    "miner.import": _("{actor} imported miner {object}"),
    "miner.move-cancel": _("{actor} took back the height of miner {object}"),
    "miner.move-force": _("{actor} went on with unfinished steps of miner {object}'s move"),
    "miner.move-in": _("{actor} moved miner {object} in"),
    "miner.move-out": _("{actor} moved miner {object} out"),
    "miner.pieces-seal": _("{actor} had the waiting pieces of miner {object} sealed"),
    "miner.porep": _("{actor} chose the proof type of miner {object}"),
    "miner.proving": _("{actor} changed the proving settings of miner {object}"),
    "miner.remove": _("{actor} removed miner {object}"),
    "miner.role-change": _("{actor} changed a role of miner {object}"),
    "miner.role-fail-over": _("{actor} failed a role of miner {object} over"),
    "miner.role-give": _("{actor} assigned a role of miner {object}"),
    "miner.role-remove": _("{actor} removed a role of miner {object}"),
    "miner.roles-combine": _("{actor} combined the roles of miner {object}"),
    "miner.roles-separate": _("{actor} separated the roles of miner {object}"),
    "miner.senders": _("{actor} chose the senders of miner {object}"),
    "miner.target": _("{actor} set the pledging target of miner {object}"),
    "miner.target-remove": _("{actor} ended the pledging target of miner {object}"),
    "miner.transfer-in": _("{actor} took over miner {object}"),
    "miner.transfer-out": _("{actor} transferred miner {object}"),
    "miner.ungrant": _("{actor} withdrew the grant of miner {object}"),
    "miner.withdraw": _("{actor} withdrew from miner {object}"),
    "mining.start": _("{actor} started mining of {object}"),
    "mining.stop": _("{actor} stopped mining of {object}"),
    "multisig.approve": _("{actor} approved a proposal of multisig {object}"),
    "multisig.cancel": _("{actor} cancelled a proposal of multisig {object}"),
    "multisig.propose": _("{actor} proposed in multisig {object}"),
    "node.add": _("{actor} added node {object}"),
    "node.extra": _("{actor} changed where node {object} is reached"),
    "node.extra.remove": _("{actor} removed node {object}"),
    "node.remove": _("{actor} removed node {object}"),
    "node.set": _("{actor} changed node {object}"),
    "offline.key-add": _("{actor} added offline key {object}"),
    "offline.key-remove": _("{actor} removed offline key {object}"),
    "person.create": _("{actor} created the account of {object}"),
    "person.disable": _("{actor} disabled the account of {object}"),
    "person.enable": _("{actor} enabled the account of {object}"),
    "person.invite": _("{actor} invited {object}"),
    "person.passkey.add": _("{actor} added a passkey of {object}"),
    "person.passkey.remove": _("{actor} removed a passkey of {object}"),
    "person.password": _("{actor} changed the password of {object}"),
    "person.recovery.make": _("{actor} made recovery codes of {object}"),
    "person.reset": _("{actor} reset the sign-in of {object}"),
    "person.role": _("{actor} changed the role of {object}"),
    "person.session.end": _("{actor} ended a session of {object}"),
    "person.totp.add": _("{actor} added the second factor of {object}"),
    "person.totp.remove": _("{actor} removed the second factor of {object}"),
    "piece.add": _("{actor} added piece {object}"),
    "piece.begin": _("{actor} began to upload piece {object}"),
    "piece.deliver": _("{actor} had piece {object} delivered"),
    "piece.index": _("{actor} had piece {object} indexed again"),
    "piece.purpose": _("{actor} changed where piece {object} goes"),
    "piece.remove": _("{actor} removed piece {object}"),
    "piece.repeat": _("{actor} added piece {object} once more"),
    "piece.unseal-retry": _("{actor} retried the unsealing of {object}"),
    "policy.change": _("{actor} changed the signing policy of {object}"),
    "policy.refused": _("{actor} was refused a change of the signing policy of {object}"),
    "pool.proving": _("{actor} changed the pool's proving settings"),
    "proving.accept": _("{actor} accepted a proof of {object}"),
    "proving.compact": _("{actor} compacted partitions of {object}"),
    "proving.dry_run": _("{actor} began a dry run of {object}"),
    "proving.job-remove": _("{actor} removed a proof job of {object}"),
    "proving.job-reset": _("{actor} offered a proof job of {object} again"),
    "proving.recover": _("{actor} declared faulty sectors of {object} recovered"),
    "proving.sector_test": _("{actor} tested a sector of {object}"),
    "ratelimit.drop": _("{actor} removed the rate limit of {object}"),
    "ratelimit.set": _("{actor} set the rate limit of {object}"),
    "recovery.decide": _("{actor} decided in the recovery about {object}"),
    "recovery.end": _("{actor} ended the recovery"),
    "recovery.moves": _("{actor} confirmed in the recovery who proves {object}"),
    "recovery.pledges": _("{actor} confirmed the pledges in the recovery"),
    "remote-wallet.add": _("{actor} added remote wallet {object}"),
    "remote-wallet.remove": _("{actor} removed remote wallet {object}"),
    "remote-wallet.set": _("{actor} changed remote wallet {object}"),
    "rules.remove": _("{actor} removed fee rule {object}"),
    "rules.set": _("{actor} changed fee rule {object}"),
    "sector.abort": _("{actor} aborted sector {object}"),
    "sector.adopt": _("{actor} adopted sectors of {object}"),
    "sector.adopt-cancel": _("{actor} cancelled the adoption of sectors of {object}"),
    "sector.back": _("{actor} sent sector {object} back to an earlier state"),
    "sector.change-cancel": _("{actor} cancelled a change of sector {object}"),
    "sector.end-stage": _("{actor} ended the stage of sector {object}"),
    "sector.extend": _("{actor} extended sectors of {object}"),
    "sector.finalize": _("{actor} finalized sector {object}"),
    "sector.numbers-export": _("{actor} handed over the sector numbers of {object}"),
    "sector.numbers-import": _("{actor} took over the sector numbers of {object}"),
    "sector.numbers-release": _("{actor} released sector numbers of {object}"),
    "sector.numbers-reserve": _("{actor} reserved sector numbers of {object}"),
    "sector.numbers-use": _("{actor} used reserved sector numbers of {object}"),
    "sector.pause": _("{actor} paused sector {object}"),
    "sector.pledge": _("{actor} pledged sectors of {object}"),
    "sector.rebuild": _("{actor} began to rebuild sector {object}"),
    "sector.rebuild-abort": _("{actor} aborted the rebuild of sector {object}"),
    "sector.rebuild-retry": _("{actor} retried the rebuild of sector {object}"),
    "sector.record-import": _("{actor} imported the record of sector {object}"),
    "sector.record-import-all": _("{actor} imported records of sectors of {object}"),
    "sector.remove-files": _("{actor} had the files of sector {object} removed"),
    "sector.restore": _("{actor} restored sector {object}"),
    "sector.retry": _("{actor} retried sector {object}"),
    "sector.retry-all": _("{actor} retried failed sectors of {object}"),
    "sector.snap-up": _("{actor} began the snap-up of sector {object}"),
    "sector.snap-up-all": _("{actor} asked for snap-ups of sectors of {object}"),
    "sector.snap-up-abort": _("{actor} aborted the snap-up of sector {object}"),
    "sector.snap-up-retry": _("{actor} retried the snap-up of sector {object}"),
    "sector.state-set": _("{actor} set the state of sector {object}"),
    "sector.terminate": _("{actor} terminated sectors of {object}"),
    "sector.unsealed-remove": _("{actor} removed the unsealed copy of sector {object}"),
    "sender.delete": _("{actor} removed sender {object}"),
    "sender.nonce": _("{actor} set the nonce of sender {object}"),
    "sender.set": _("{actor} changed sender {object}"),
    "service.targets": _("{actor} set the service targets of {object}"),
    "settings.change": _("{actor} changed the settings of {object}"),
    "signer.grant": _("{actor} granted signer key {object}"),
    "signer.ungrant": _("{actor} withdrew the grant of signer key {object}"),
    "statement.pay": _("{actor} marked statement {object} paid"),
    "statement.unpay": _("{actor} marked statement {object} unpaid"),
    "status.maintenance": _("{actor} announced maintenance {object}"),
    "status.maintenance.end": _("{actor} ended maintenance {object}"),
    "status.note": _("{actor} wrote a note on incident {object}"),
    "status.visibility": _("{actor} changed who sees the status page"),
    "store.adopt": _("{actor} adopted sectors found in store {object}"),
    "store.attach": _("{actor} attached store {object}"),
    "store.check": _("{actor} began to check the files of store {object}"),
    "store.check_cancel": _("{actor} cancelled a check of store {object}"),
    "store.detach": _("{actor} detached store {object}"),
    "store.drop_missing": _("{actor} dropped missing sectors of store {object}"),
    "store.forget": _("{actor} forgot store {object}"),
    "store.labels": _("{actor} changed the labels of store {object}"),
    "store.move": _("{actor} moved sectors out of store {object}"),
    "store.moves_cancel": _("{actor} cancelled the moves of store {object}"),
    "store.redeclare": _("{actor} redeclared store {object}"),
    "store.remove_leftovers": _("{actor} had leftovers of store {object} removed"),
    "store.scan": _("{actor} began to scan store {object}"),
    "store.scan_cancel": _("{actor} cancelled the scan of store {object}"),
    "store.set_store": _("{actor} changed store {object}"),
    "tenant.create": _("{actor} created tenant {object}"),
    "tenant.delete": _("{actor} removed tenant {object}"),
    "tenant.piece-quota": _("{actor} set the quota for clients' data of {object}"),
    "tenant.restore": _("{actor} restored tenant {object}"),
    "tenant.update": _("{actor} changed tenant {object}"),
    "token.create": _("{actor} created token {object}"),
    "token.join": _("{actor} made a join token for {object}"),
    "token.restore": _("{actor} restored token {object}"),
    "token.revoke": _("{actor} revoked token {object}"),
    "wallet.label": _("{actor} named wallet {object}"),
    "worker.drain": _("{actor} drained host {object}"),
    "worker.group": _("{actor} changed the group of host {object}"),
    "worker.measure": _("{actor} had host {object} measured"),
    "worker.pause": _("{actor} paused host {object}"),
    "worker.pings-forget": _("{actor} forgot what host {object} last said"),
    "worker.register": _("{actor} registered host {object}"),
    "worker.remove_leftovers": _("{actor} had leftovers of host {object} removed"),
    "worker.resume": _("{actor} resumed host {object}"),
    "worker.reset_drives": _("{actor} had host {object} begin anew on its drives"),
    "worker.retire": _("{actor} retired host {object}"),
    "worker.retire_drained": _("{actor} drains host {object} and retires it then"),
    "worker.settings": _("{actor} changed the settings of host {object}"),
    "worker.upgrade": _("{actor} upgraded host {object}"),
}
"""Of each action.  `{object}` is what it was done to, as the log names it."""
OTHER: Final = _("{actor}: {action} {object}")
"""Of an action that this version does not know."""
HOST: Final = re.compile(r"(?P<name>.+) \((?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\)")
MESSAGE: Final = re.compile(r"(?:.* \()?(?P<id>[^\s()]+)\)?")
ADDRESS: Final = re.compile(r"[ft]0\d+")
CID: Final = re.compile(r"b[a-z2-7]{30,}")
NAMED: Final = {
    "billing": "tenants",
    "person": "people",
    "ratelimit": "tenants",
    "service": "tenants",
    "signer": "wallets",
    "store": "stores",
    "tenant": "tenants",
    "token": "tokens",
    "wallet": "wallets",
    "worker": "hosts",
}
"""Lists that `q` narrows to the name that the log has, by the first part of an action."""
WHOLE: Final = {
    "account": "gateway",
    "approval": "approvals",
    "console": "consoles",
    "gas": "gas",
    "gateway": "gateway",
    "multisig": "multisigs",
    "node": "chain",
    "offline": "offline",
    "remote-wallet": "gateway",
    "rules": "gas",
    "statement": "charges",
    "status": "status",
}
"""Pages with all objects of a kind."""
BY_UUID: Final = {"auto-rule": "auto-rule", "deal": "deal"}
"""Pages of one object, where the log has its uuid."""
ENDED: Final = re.compile(r".*[.-](?:remove|delete|forget|retire)")
"""Actions after which the object has no page."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a sentence."""

    text: str
    is_actor: bool = False
    href: str = ""
    """Page of what is named; empty if it has none."""


def sentence_parts(entry: AuditEntry) -> Iterator[Part]:
    """Yield an entry's sentence in the page's language."""
    template = str(SENTENCES.get(entry.action, OTHER))
    for text, field, _spec, _conversion in Formatter().parse(template):
        if text:
            yield Part(text)
        if field == "actor":
            yield Part(entry.actor or gettext("the pool"), is_actor=True)
        elif field == "object":
            yield _object(entry)
        elif field == "action":
            yield Part(entry.action)


def sentence_text(entry: AuditEntry) -> str:
    """Return an entry's sentence in the page's language."""
    return "".join(part.text for part in sentence_parts(entry))


def _object(entry: AuditEntry) -> Part:
    """Return what an entry is about, with its page as far as its name tells it."""
    noun, target = entry.action.partition(".")[0], entry.target or "–"
    if noun == "worker" and (host := HOST.fullmatch(target)) is not None:
        return Part(host["name"], href=reverse("host", args=[host["uuid"]]))
    return Part(target, href=_page(noun, target, is_over=ENDED.fullmatch(entry.action) is not None))


def _page(noun: str, target: str, *, is_over: bool) -> str:
    """Return the address of the page of what the log calls `target`; empty if it has none."""
    if (sector := sector_name_parse(target)) is not None:
        return reverse("sector-named", args=[f"f0{sector[0]}-{sector[1]}"])
    if ADDRESS.fullmatch(target):
        return reverse("miner", args=[f"f{target[1:]}"])
    if noun == "message" and (message := MESSAGE.fullmatch(target)) is not None:
        return reverse("message", args=[message["id"]])
    if " " not in target and noun in ("sender", "policy", "client"):
        return reverse("client" if noun == "client" else "sender", args=[target])
    if noun == "piece" and CID.fullmatch(target):
        return f"{reverse('pieces')}?{urlencode({'piece_cid': target})}"
    if is_over or target == "–":
        return ""
    if noun == "check":
        return reverse("check-settings", args=[target])
    if noun in BY_UUID:
        return reverse(BY_UUID[noun], args=[target]) if is_uuid(target) else ""
    if noun in NAMED:
        name = target.rpartition("/")[2]  # a token is named with its tenant
        return f"{reverse(NAMED[noun])}?{urlencode({'q': name})}"
    return reverse(WHOLE[noun]) if noun in WHOLE else ""
