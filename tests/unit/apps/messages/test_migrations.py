"""What a newer version changes in the rows of older ones."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.messages.models import Message

pytestmark = pytest.mark.django_db(transaction=True)  # steps that make an index beside writers have none


def test_fillers_of_a_pool_that_ran_the_first_0004_get_their_height() -> None:
    before = MigrationExecutor(connection).migrate([("messages", "0006_kinds_of_rules")])
    old = before.apps.get_model("messages", "Message")
    rows = {"kind": "gap", "from_addr": "f01001", "to": "f01001", "method": 0}
    old.objects.create(id="gap:f01001:3:77", push_id="gap:f01001:3:77", **rows)
    old.objects.create(id="o", push_id="o", **rows)

    connection.check_constraints()  # in one transaction with what makes indexes
    MigrationExecutor(connection).migrate([("messages", "0007_gap_heights")])
    connection.check_constraints()
    call_command("migrate", verbosity=0, skip_checks=True)

    assert dict(Message.objects.values_list("id", "pushed_height")) == {"gap:f01001:3:77": 77, "o": 0}
