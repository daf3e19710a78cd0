"""Hosts of one name are told apart: a person must not drain the other one."""

from __future__ import annotations

import pytest

from apps.sectors.models import Worker
from apps.sectors.services.hosts.retirement import worker_retire
from tests.unit.apps.sectors.sealing import NOON, host

pytestmark = pytest.mark.django_db


def names() -> dict[str, str]:
    return dict(Worker.objects.filter(retired_at=None).values_list("uid", "name"))


def test_the_second_of_a_name_has_the_end_of_its_uid() -> None:
    host("0123456789", name="sealer-vm")
    host("abcdefghij", name="sealer-vm")

    assert names() == {"0123456789": "sealer-vm", "abcdefghij": "sealer-vm cdefghij"}


def test_starts_and_the_end_of_the_first_change_no_name() -> None:
    first = host("0123456789", name="sealer-vm")
    host("abcdefghij", name="sealer-vm")
    host("0123456789", boot="b2", name="sealer-vm")
    worker_retire(first, now=NOON)
    host("abcdefghij", boot="b2", name="sealer-vm")

    assert names() == {"abcdefghij": "sealer-vm cdefghij"}


def test_a_new_name_is_taken_as_it_is() -> None:
    host("0123456789", name="sealer-vm")
    host("abcdefghij", name="sealer-vm")
    host("abcdefghij", boot="b2", name="second")

    assert names()["abcdefghij"] == "second"


def test_other_tenants_and_hosts_without_a_machine_keep_theirs() -> None:
    host("0123456789", name="sealer-vm")
    host("abcdefghij", name="sealer-vm", of="bob")
    host("klmnopqrst", name="sealer-vm", host="")

    assert set(names().values()) == {"sealer-vm"}
