"""Finding anything by its name, and nothing of others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse

from apps.dashboard.pages.search.acts import ACTS
from tests import factories, people
from tests.demo_data import Pool, busy_pool
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db


def asked(words: str, who: str = "ann") -> Any:
    return signed_in(who).get(reverse("search"), {"q": words})


LEADS: dict[str, tuple[Callable[[Pool], str], Callable[[Pool], str]]] = {
    "a sector as the pages write it": (
        lambda pool: f"{pool.miner.address} / 3",
        lambda pool: reverse("sector", args=[pool.sealing.uuid]),
    ),
    "a sector as REST writes it": (
        lambda pool: f"{pool.miner.address}-3",
        lambda pool: reverse("sector", args=[pool.sealing.uuid]),
    ),
    "a sector as its files are called": (
        lambda pool: f"s-t0{pool.miner.actor_id}-3",
        lambda pool: reverse("sector", args=[pool.sealing.uuid]),
    ),
    "a sector in capitals, with spaces": (
        lambda pool: f" F0{pool.miner.actor_id} - 3 ",
        lambda pool: reverse("sector", args=[pool.sealing.uuid]),
    ),
    "a sector by testnet's miner": (
        lambda pool: f"t0{pool.miner.actor_id}/3",
        lambda pool: reverse("sector", args=[pool.sealing.uuid]),
    ),
    "a miner's address in capitals": (
        lambda pool: f"F0{pool.miner.actor_id}",
        lambda pool: reverse("miner", args=[pool.miner.address]),
    ),
    "a sector's id": (
        lambda pool: str(pool.active.uuid),
        lambda pool: reverse("sector", args=[pool.active.uuid]),
    ),
    "a miner's address, testnet's too": (
        lambda pool: f"t0{pool.miner.actor_id}",
        lambda pool: reverse("miner", args=[pool.miner.address]),
    ),
    "a miner's name": (
        lambda pool: "ALICE-MAIN",
        lambda pool: reverse("miner", args=[pool.miner.address]),
    ),
    "a message's id": (lambda pool: pool.stuck.id, lambda pool: reverse("message", args=[pool.stuck.id])),
    "a message's CID": (lambda pool: pool.landed.cid, lambda pool: reverse("message", args=[pool.landed.id])),
    "a host's name": (lambda pool: "alice-seal", lambda pool: reverse("host", args=[pool.sealer.uuid])),
    "an epoch": (lambda pool: "1 000", lambda pool: reverse("chain-tipset", args=[1000])),
    "a page": (lambda pool: "gat", lambda pool: reverse("gateway")),
}


@pytest.fixture(scope="module")
def pool(module_rows: None) -> Pool:
    return busy_pool()


@pytest.mark.parametrize("what", LEADS)
def test_one_thing_leads_to_its_page(ann, what, pool):
    words, href = LEADS[what]

    answer = asked(words(pool))

    assert (answer.status_code, answer.headers.get("Location")) == (302, href(pool))


def test_an_address_is_found_as_wallet_and_sender(ann, pool):
    text = text_of(asked(pool.wallet.address))

    assert f'href="{reverse("sender", args=[pool.wallet.address])}"' in text
    assert f'href="{reverse("wallets")}?q={pool.wallet.address}"' in text


def test_several_things_stand_in_a_list(ann, pool):
    factories.head(3)
    factories.head(1000)

    text = text_of(asked("3"))

    assert "2 results" in text
    assert f'href="{reverse("sector", args=[pool.sealing.uuid])}"' in text
    assert f'href="{reverse("chain-tipset", args=[3])}"' in text


@pytest.mark.parametrize(
    "what", [what for what in LEADS if not what.startswith(("an epoch", "a page"))] + ["an address"]
)
def test_a_stranger_finds_nothing_of_others(bill, what, pool):
    words = LEADS[what][0](pool) if what in LEADS else pool.wallet.address

    assert "No results" in text_of(asked(words, "bill"))


@pytest.mark.parametrize("words", ["", " ", "x" * 300, "9" * 40, "f0" + "9" * 30, "bafy", "%", "<b>", "٣"])
def test_odd_words_find_nothing_and_do_no_harm(ann, words, pool):
    answer = asked(words)

    assert answer.status_code == 200
    assert "<b>" not in text_of(answer).split("</header>")[1]


def suggested(words: str, who: str = "ann") -> list[tuple[str, str]]:
    """Where each suggestion leads, and its words."""
    text = signed_in(who).get(reverse("search-suggest"), {"q": words}).content.decode()
    return [
        (href, " ".join(re.sub(r"<[^>]+>", " ", words).split()))
        for href, words in re.findall(r'<a href="([^"]+)">(.*?)</a>', text, re.DOTALL)
    ]


@pytest.mark.parametrize(
    "words", ["withdraw f01000", "withdraw t01000-3", "WITH alice-main", "f01000 withdraw"]
)
def test_an_act_is_found_with_what_it_is_done_to(words: str, pool: Pool) -> None:
    address = pool.miner.address
    people.person("ann")
    words = words.replace("01000", address[1:])

    found = dict(suggested(words))

    assert "Withdraw" in found[reverse("miner-withdraw", args=[address])]


def test_an_act_alone_is_offered_for_the_miners_that_one_sees(pool: Pool) -> None:
    people.person("ann")
    factories.miner(9001, of="bob")

    hrefs = [href for href, _ in suggested("pledge")]

    assert f"{reverse('pledge')}?miner={pool.miner.address}" in hrefs
    assert not [href for href in hrefs if "9001" in href]
    assert suggested("withdraw f09001") == [], "it is another tenant's"
    assert reverse("pledge") not in str(suggested("pledge bitcoin"))


def test_acts_are_offered_to_those_who_may(pool: Pool) -> None:
    people.person("ann")
    people.person("audi", of="alice", role="AUDITOR")
    people.operator_person("olga")

    assert [one for one in suggested("create a tenant") if one[0] == reverse("tenant-new")] == []
    assert reverse("tenant-new") in dict(suggested("create a tenant", "olga"))
    assert [href for href, _ in suggested("withdraw", "audi") if "withdraw" in href] == []


def test_every_act_has_its_page() -> None:
    for act in ACTS:
        keys: dict[str, list[Any]] = {"host": [uuid4()], "sector": [uuid4()], "message": ["x"]}
        args = keys.get(act.of_object, [])
        assert reverse(act.page, args=["f01000"] if act.of_miner == "path" else args)


def test_objects_and_acts_on_them_are_found_by_name(pool: Pool) -> None:
    people.operator_person("olga")
    sealer, sector = pool.sealer, pool.sealing
    name = f"{pool.miner.address}-{sector.number}"
    acts = {
        f"pause {sealer.name}": (reverse("host", args=[sealer.uuid]), "action-pause"),
        f"Extend sector {pool.miner.address}-{pool.active.number}": (
            reverse("sector", args=[pool.active.uuid]),
            "action-extend",
        ),
    }
    wanted = {words: f"{page}#{button}" for words, (page, button) in acts.items()} | {
        f"Terminate sector {name}": f"{reverse('sector', args=[sector.uuid])}#action-terminate",
        f"retry message {pool.stuck.id}": f"{reverse('message', args=[pool.stuck.id])}#action-retry-now",
        "join a host": reverse("host-join"),
        "alic": reverse("tenant", args=[pool.miner.tenant.uuid]),
        "olg": f"{reverse('people')}?q=olga",
    }

    for words, href in wanted.items():
        assert href in dict(suggested(words, "olga")), words
    assert reverse("host-join") in dict(suggested("host", "olga"))
    for page, button in acts.values():
        assert f'id="{button}"' in signed_in("olga").get(page).content.decode(), button
    people.person("bill", of="bob")
    assert [words for words in wanted if suggested(words, "bill")] == []
