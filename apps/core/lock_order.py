"""The order in which a transaction locks rows: whoever keeps to it waits for nobody in a circle.

A transaction goes down `LOCK_ORDER` from place to place, never up.  A lock is what SELECT FOR UPDATE, UPDATE,
DELETE, an upsert and `transaction_lock` take and may have to wait for.  A row that the transaction has made
or has locked before it may change at any time.

* Within a table rows are locked by their keys: several at once by `order_by("pk")`, stores by their uid.
* Tables of one place are one thing with its parts, as a job with its sector: the first of them is locked
  first, and of several such things one after the other, by the first one's key.
* A row that others refer to, and whose key stays, is locked with `no_key=True`.  Else it would wait for
  whoever makes a row that refers to it and holds something of a later place, as a report does that holds a
  job while its event refers to the host.

`tests/lock_order.py` holds the transactions of the unit tests of apps to it, and names what it leaves out,
with the reason.
"""

from __future__ import annotations

from typing import Final

LOCK_ORDER: Final[tuple[tuple[str | int, ...], ...]] = (
    # Locks that stand for something of which there is no row yet, by their class.
    (0x434D,),  # a miner that is created
    (0x5046,),  # a piece from an address
    (0x4C42,),  # which hosts of a tenant have which label
    # The pool, its tenants and its chain.
    ("users_sitekey",),
    ("users_tenant",),
    ("users_signergrant",),
    ("chain_network",),
    ("chain_head",),
    ("chain_follower",),
    # A miner, and who does what for it.
    ("miners_miner",),
    ("miners_role", "miners_rolegroup"),
    ("sectors_worker",),
    (
        "sectors_store",
        "sectors_storemove",
        "sectors_storecheck",
        "sectors_storescan",
        "sectors_storefinding",
    ),
    # What is proved and sealed.
    ("proving_checkrun",),
    ("proving_windowpost",),
    ("proving_deadline", "proving_partition"),
    ("proving_recovery",),
    ("proving_sectorcheck",),
    (0x4558,),  # claims that are extended
    ("sectors_sectoradoption",),
    ("sectors_sealtarget",),
    (0x464E,),  # what addresses pay for pledges
    (
        "sectors_job",
        0x4D56,  # room in shared stores, for a claim or a damocles-worker
        "sectors_sector",
        "sectors_sectorchange",
        "sectors_pipelinerun",
        "sectors_batch",
        "sectors_commitaggregate",
        "sectors_sectorcopy",
        "proving_proofattempt",
        *("sectors_damoclessector", "sectors_damoclesjob", "sectors_sectorproof"),
    ),
    ("sectors_allocation", "sectors_allocationsread"),
    (0x4D59,),  # room and money that are promised to deals
    ("market_minermarket",),
    ("market_settlement", "market_dealsettlement"),
    ("market_settlementcheck",),
    ("market_deal", "market_dealchunk"),
    ("market_dealincome",),
    ("market_dealcount",),
    ("market_dealfolder", "market_dealfile"),
    ("market_adchain", "market_advertisement", "market_entrychunk"),
    ("pieces_piece", "pieces_blockindex", "pieces_hashchunk"),
    ("pieces_blockvolume",),
    ("pieces_piecequota",),
    ("sectors_numberreservation",),
    ("sectors_sectornumbers",),
    ("sectors_activesectors",),
    # People and what lets them in.
    ("users_minergrant",),
    (0x434F,),  # a person of the company's provider
    (0x504E,),  # a name of a person
    (
        *("users_user", "users_passkey", "users_totpdevice", "users_recoverycode", "users_savedview"),
        *("django_session", "users_personsession"),
    ),
    ("users_loginattempt",),
    ("users_token",),
    ("users_ratelimit",),
    # Messages.
    ("messages_unmatchedmessage",),
    ("messages_actorrules",),
    ("messages_sharedrules",),
    ("messages_extranode",),
    ("messages_approvalrule",),
    ("messages_sender",),
    ("messages_gasguard",),
    ("messages_message", "messages_messageapproval"),
    ("messages_gasspend",),
    ("messages_autobumprule",),
    ("wallets_wallet",),
    ("gateway_signerconnection",),
    ("gateway_proverconnection",),
    ("messages_tracker",),
    # What is watched, and said of it.
    ("pool_checks_componentstatus", "pool_checks_componentincident", "pool_checks_componentday"),
    ("pool_checks_maintenance",),
    ("pool_checks_statussettings",),
    ("pool_checks_alert",),
    ("pool_checks_alertchannel", "pool_checks_notification"),
    ("pool_checks_checksetting",),
    ("pool_checks_servicetargets",),
    ("automation_autorule",),
    ("history_reading",),
    (0x4155,),  # rules of a tenant that must not contradict each other
    # Blocks and money.
    ("blocks_statement",),
    ("miners_minerday",),
    ("miners_removedminerday",),
    ("miners_minertransfer",),
    ("miners_chainroots",),
    ("blocks_block",),
    ("blocks_charge",),
    ("blocks_round",),
    ("blocks_miningday",),
    ("blocks_pricereading",),
    ("blocks_dayprice",),
    # The audit log has one end, at which all write: last.
    (0x706F6F6C,),
)
"""Tables and classes of `transaction_lock`, those of one place together, in their order."""
