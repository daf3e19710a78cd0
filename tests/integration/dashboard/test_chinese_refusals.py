"""Whatever a form of the pages refuses, it says so in the language of who sent it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from django.db import transaction
from django.urls import resolve, reverse

from tests.demo_data import Pool, addresses, busy_pool
from tests.page_client import signed_in, text_of
from tests.page_forms import PageForms, SentForm
from tests.page_words import Words, english_of
from tests.people import operator_person
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = pytest.mark.django_db

NONSENSE: Final = "嗯?"
"""A value that no field takes, without a letter that could be of an English word."""
WORD: Final = re.compile(r"(?<![A-Za-z0-9_.])[a-z]{3,}(?![A-Za-z0-9_:/]|\.\w)")
"""A word that is no part of a name such as slots.PC1, sectors_max, Poolsite or of an address."""
NAMES: Final = frozenset(
    {
        *("actor", "nonce"),
        *("account", "cron", "datacap", "eam", "evm", "init", "market", "miner", "multisig", "paych"),
        *("power", "reward", "verifreg"),
        *("anybody", "except", "only"),
        *("alice", "because", "main", "prover", "sealer", "store"),
    }
)
"""Words that are the same in every language: of the chain, kinds of actors, choices as REST has them, and
names of this pool's objects."""
NOT_SENT: Final = frozenset({"logout", "theme"})
"""Forms of the frame."""


def forms_of(client: Any, pages: dict[str, str]) -> Iterator[tuple[str, SentForm, set[str]]]:
    """Yield each form once, with its page's name and the texts that the page had before."""
    seen: defaultdict[str, set[frozenset[str]]] = defaultdict(set)
    for page, address in pages.items():
        html = text_of(client.get(address))
        texts = set(Words(html).texts)
        for form in PageForms(html, at=address).found:
            name = str(resolve(urlsplit(form.action).path).url_name)
            if name not in NOT_SENT and form.fields not in seen[name]:
                seen[name].add(form.fields)
                yield f"{name} on {page}", form, texts


def sendings(form: SentForm) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what somebody sends who types nothing, empties all, or writes nonsense into one field."""
    yield "", form.values
    if form.typed:
        yield "empty", form.values | dict.fromkeys(form.typed, "")
    alike = {field.partition(".")[0]: field for field in form.typed}  # slots.PC1 is refused as slots.PC2 is
    for field in alike.values():
        yield field, form.values | {field: NONSENSE}


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """The pool of alice, whose operator reads Chinese; its checks are evaluated once."""
    operator = operator_person()
    operator.language = "zh-hans"
    operator.save()
    monkeypatch.setattr(REPORT_NOW, SharedReports())
    return busy_pool()


def test_refusals_of_forms_are_in_the_readers_language(pool: Pool) -> None:
    client, found, refused = signed_in("olga"), {}, set()
    more = {name: reverse(name) for name in ("approval-rule-new", "gas-method-new", "gas-rules")}
    for name, form, before in forms_of(client, addresses(pool) | more):
        for what, sent in sendings(form):
            point = transaction.savepoint()
            answer = client.post(form.action, sent)
            transaction.savepoint_rollback(point)
            if answer.status_code < 400:
                continue
            refused.add(name)
            texts = {text for text in Words(text_of(answer)).texts if text not in before}
            shown = english_of("".join(f"<p>{escape(text)}</p>" for text in texts))
            shown |= {text for text in texts if {*WORD.findall(text)} - NAMES}
            if shown:
                found[f"{name}: {what} ({answer.status_code})"] = shown

    assert len(refused) > 30
    assert found == {}
