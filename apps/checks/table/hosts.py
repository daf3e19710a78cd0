"""The rows of the table that are about hosts and the stores that they have attached."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from apps.checks.findings import deals, hosts, stopped, stores
from apps.checks.findings.results import Check, Link, Severity, Topic

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING

HOST_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "hosts_away",
        _("Every host sends heartbeats"),
        (Topic.HOSTS,),
        WARNING,
        hosts.hosts_away,
        Link("hosts"),
        _("Hosts"),
    ),
    Check(
        "deals_late",
        _("Every deal is published a day before its start, and sealed in time"),
        (Topic.PIECES, Topic.MINERS),
        WARNING,
        deals.deals_late,
        Link("deals"),
        _("Deals"),
    ),
    Check(
        "doors_down",
        _("Every libp2p door of a miner answers"),
        (Topic.MINERS, Topic.PROCESSES),
        WARNING,
        deals.doors_down,
        Link("miners"),
        _("Market"),
    ),
    Check(
        "indexes_wrong",
        _("Every block of a CAR is where its index says"),
        (Topic.PIECES,),
        WARNING,
        deals.indexes_wrong,
        Link("pieces"),
        _("Pieces"),
    ),
    Check(
        "stores_away",
        _("Every store with sealed sectors is reachable"),
        (Topic.STORES, Topic.HOSTS, Topic.MINERS, Topic.SECTORS),
        CRITICAL,
        stores.stores_away,
        Link("stores", query="state=trouble"),
        _("Storage"),
    ),
    Check(
        "stores_unproven",
        _("Every store is read by a prover"),
        (Topic.STORES, Topic.HOSTS, Topic.MINERS, Topic.SECTORS),
        CRITICAL,
        stores.stores_unproven,
        Link("stores"),
        _("Storage"),
    ),
    Check(
        "stores_unwritable",
        _("Every store meant for new sectors is writable"),
        (Topic.STORES, Topic.HOSTS),
        WARNING,
        stores.stores_unwritable,
        Link("stores"),
        _("Storage"),
    ),
    Check(
        "moves_failed",
        _("No move between stores failed in the last 24 h"),
        (Topic.STORES, Topic.SECTORS),
        WARNING,
        stopped.moves_failed,
        Link("sectors-failures"),
        _("Failures"),
    ),
    Check(
        "copies_bad",
        _("No sector file was found damaged"),
        (Topic.STORES, Topic.SECTORS),
        CRITICAL,
        stores.copies_bad,
        Link("stores"),
        _("Storage"),
    ),
    Check(
        "stores_filling",
        _("No store will be full within 7 d"),
        (Topic.STORES,),
        WARNING,
        stores.stores_filling,
        Link("stores"),
        _("Storage"),
    ),
    Check(
        "hosts_disk",
        _("Every host has enough disk space"),
        (Topic.HOSTS,),
        WARNING,
        hosts.hosts_short_of_disk,
        Link("hosts"),
        _("Hosts"),
    ),
    Check(
        "host_folders_away",
        _("Every host can read its own folder"),
        (Topic.HOSTS,),
        WARNING,
        hosts.host_folders_away,
        Link("hosts"),
        _("Hosts"),
    ),
    Check(
        "sealing_stores_away",
        _("Every sealing folder is available"),
        (Topic.HOSTS,),
        WARNING,
        stores.sealing_stores_away,
        Link("hosts"),
        _("Hosts"),
    ),
    Check(
        "hosts_paused",
        _("No host is paused or draining"),
        (Topic.HOSTS,),
        WARNING,
        hosts.hosts_paused,
        Link("hosts"),
        _("Hosts"),
    ),
    Check(
        "hosts_slow",
        _("No host is slow"),
        (Topic.HOSTS,),
        WARNING,
        hosts.hosts_slow,
        Link("hosts"),
        _("Hosts"),
    ),
)
