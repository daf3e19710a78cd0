"""Why deals were refused or failed, and what holds them up."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import ngettext_noop, reason

LATE_FOR_START = reason(
    "market.late_for_start", gettext_noop("its data did not come before its start epoch {epoch}")
)
TERM_OVER = reason("market.term_over", gettext_noop("its term ended at epoch {epoch}"))
ENDED_BY_PEOPLE = reason("market.ended_by_people", gettext_noop("its miner's people ended it"))
LATE = reason("market.late", gettext_noop("its data did not come in time"))
ADDRESSES_GONE = reason(
    "market.addresses_gone", gettext_noop("its data are gone, and its client's URLs are not kept any more")
)
DATA_GONE = reason("market.data_gone", gettext_noop("its data are gone: they are awaited again"))
DATA_UNREADABLE = reason(
    "market.data_unreadable", gettext_noop("its data are not on the disk of pieces, or cannot be read there")
)
CHUNK_GONE = reason(
    "market.chunk_gone", gettext_noop("chunk {number} is gone from the disk: send the data again")
)
SHORT_SECTOR = reason(
    "market.short_sector",
    gettext_noop("the miner stores these data already, in a sector that need not live for {duration} epochs"),
)
DEALS_WAIT = reason(
    "market.deals_wait",
    *ngettext_noop(
        "{count} deal waits for its data or a sector", "{count} deals wait for their data or a sector"
    ),
)
FREE_WAIT = reason(
    "market.free_wait",
    *ngettext_noop(
        "{count} deal waits that costs its client nothing",
        "{count} deals wait that cost their clients nothing",
    ),
)
CLIENT_WAITS = reason(
    "market.client_waits",
    *ngettext_noop(
        "{count} deal of this client waits for its data, or is left out by the chain",
        "{count} deals of this client wait for their data, or are left out by the chain",
    ),
)
BYTES_WAIT = reason("market.bytes_wait", gettext_noop("{size} bytes wait for a sector"))
QUOTA_FULL = reason("market.quota_full", gettext_noop("the tenant's quota of pieces has no room"))
COLLATERAL_SHORT = reason(
    "market.collateral_short",
    gettext_noop(
        "its collateral is {collateral}, and the miner's market balance has {free} free beside what earlier "
        "deals need"
    ),
)
FILTER_SILENT = reason("market.filter_silent", gettext_noop("the filter gave no answer: {reason}"))
FILTER_STATUS = reason("market.filter_status", gettext_noop("HTTP status {status}"))
FILTER_SAID = reason("market.filter_said", gettext_noop("its answer does not say whether it accepts"))
FILTER_NOT_PUBLIC = reason("market.filter_not_public", gettext_noop("its host has no public address"))
FILTER_BUSY = reason(
    "market.filter_busy", gettext_noop("the filter is being asked about {count} others already")
)

# Publishing
PUBLISHED_LATE = reason(
    "market.published_late",
    gettext_noop("it was not published early enough to be sealed before its start epoch {epoch}"),
)
MINER_LACKS = reason("market.miner_lacks", gettext_noop("the miner's market balance lacks {amount}"))
CLIENT_LACKS = reason("market.client_lacks", gettext_noop("the client's market balance lacks {amount}"))
LEFT_OUT_FOR = reason("market.left_out_for", gettext_noop("the chain would leave it out: {bad}"))
LEFT_OUT = reason(
    "market.left_out",
    gettext_noop(
        "the chain would leave it out: for its signature, its client's data cap, "
        "or as it is published already"
    ),
)
NO_CONTROL = reason(
    "market.no_control", gettext_noop("{sender}, which would publish it, is no control address of the miner")
)
WOULD_FAIL = reason(
    "market.would_fail", gettext_noop("its message would fail on the chain with exit code {exit_code}")
)
MESSAGE_GONE = reason("market.message_gone", gettext_noop("its message is not known"))
NOT_CARRIED_OUT = reason("market.not_carried_out", gettext_noop("its message {id} was not carried out"))
MESSAGE_FAILED = reason(
    "market.message_failed", gettext_noop("its message {id} failed with exit code {exit_code}")
)
LEFT_OUT_OF = reason("market.left_out_of", gettext_noop("the chain left it out of message {id}"))

# Settling
NOTHING_OWED = reason("market.nothing_owed", gettext_noop("the market actor owes nothing for its deals"))
NOT_WORTH = reason(
    "market.not_worth",
    gettext_noop("the fee of {fee} FIL is more than the {owed} FIL that it brings"),
)
SETTLE_LIMIT = reason(
    "market.settle_limit",
    gettext_noop("settling has cost {spent} FIL today, and its limit of a day does not allow {fee} FIL more"),
)
SETTLE_REFUSED = reason(
    "market.settle_refused", gettext_noop("the chain refuses to settle deal {number}: exit code {exit_code}")
)
SETTLE_FAILED = reason(
    "market.settle_failed", gettext_noop("message {id}, which was to settle deals, was not carried out")
)

# Files in hosts' folders
FILE_GROWING = reason("market.file_growing", gettext_noop("it is still growing"))
FILE_WAITS = reason("market.file_waits", gettext_noop("its piece CID is being computed"))
FILE_IS_LINK = reason("market.file_is_link", gettext_noop("it is a symbolic link, which is not followed"))
FILE_NO_FILE = reason("market.file_no_file", gettext_noop("it is no file"))
FILE_EMPTY = reason("market.file_empty", gettext_noop("it is empty"))
FILE_UNREADABLE = reason("market.file_unreadable", gettext_noop("the host cannot read it"))
FILE_UNMATCHED = reason(
    "market.file_unmatched", gettext_noop("no offline deal of this host's tenant waits for these data")
)
FILE_WANTED = reason("market.file_wanted", gettext_noop("a deal waits for these data: they are being taken"))
FILE_TAKEN = reason("market.file_taken", gettext_noop("a deal has these data"))
FOLDER_UNREADABLE = reason("market.folder_unreadable", gettext_noop("the host cannot read it: {error}"))

# Doors
DOOR_STOPPED = reason("market.door_stopped", gettext_noop("its process was stopped"))
DOOR_MUTE = reason("market.door_mute", gettext_noop("its port {port} does not answer"))
DOOR_NOT_LISTENING = reason(
    "market.door_not_listening", gettext_noop("it cannot listen on port {port}: {error}")
)
DOOR_KEY_READABLE = reason(
    "market.door_key_readable",
    gettext_noop("others can read its peer key {file}: chmod 600 it, or make a new key"),
)
DOOR_KEY_BAD = reason("market.door_key_bad", gettext_noop("{file} holds no peer key: {error}"))
DOOR_KEY_MISSING = reason(
    "market.door_key_missing",
    gettext_noop(
        "{file} is missing, the peer key {peer_id} that {host} had: copy it there, or make a new one "
        "by manage.py deal_door {miner}"
    ),
)
DOOR_KEY_OTHER = reason(
    "market.door_key_other",
    gettext_noop(
        "{file} is the peer key {own}, and clients know {peer_id}, which {host} had: copy that one there, "
        "or keep the new one by manage.py deal_door {miner}"
    ),
)
DOOR_SILENT = reason("market.door_silent", gettext_noop("its process on {host} is silent"))
DOOR_UNSERVED = reason("market.door_unserved", gettext_noop("no process serves it"))
DOOR_ROLE_ELSEWHERE = reason(
    "market.door_role_elsewhere",
    gettext_noop("the role Deal is given to {hosts}, and no door runs there"),
)

# Advertisements to indexers
ADS_NOT_SERVED = reason("market.ads_not_served", gettext_noop("the miner does not serve its data to anybody"))
ADS_NO_ADDRESS = reason(
    "market.ads_no_address", gettext_noop("the console has no address for outside clients: set POOLSITE_URL")
)
ADS_NO_DOOR = reason(
    "market.ads_no_door",
    gettext_noop("the miner has no libp2p door, whose key signs: switch it on"),
)
ADS_NO_KEY = reason("market.ads_no_key", gettext_noop("its libp2p door has no key yet"))
ADS_KEY_SHARED = reason("market.ads_key_shared", gettext_noop("its peer key is that of another miner"))
ADS_UNSIGNED = reason(
    "market.ads_unsigned", gettext_noop("its libp2p door does not answer, and signs nothing meanwhile")
)
