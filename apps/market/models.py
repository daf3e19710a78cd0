"""Rows of deals, and of what each miner asks for and accepts."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.core.fields import AddressField, AttoFilField, CidField
from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from apps.market.states import (
    PUBLISHED,
    TRANSITIONS,
    WITHOUT_DATA,
    AdKind,
    ClientsRule,
    DealDoor,
    DealSource,
    DealState,
)
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import Worker
from apps.users.models import Tenant
from poolsite.filecoin.amounts import FIL

PLACE_MIN = 128
"""Padded bytes of the smallest piece."""
PLACE_MAX = 64 << 30
"""Padded bytes of the largest."""
DOOR_PORT = 24_001
"""Port of the first miner's libp2p door; boost's is the same."""


class MinerMarket(Timestamped):
    """Whether and under what a miner makes deals; without a row it makes none."""

    miner = models.OneToOneField(Miner, on_delete=models.CASCADE, primary_key=True, related_name="market")
    is_open = models.BooleanField(default=False)
    price = AttoFilField(default=0)
    """attoFIL per GiB and epoch of plain data."""
    verified_price = AttoFilField(default=0)
    """The same of verified data."""
    least_size = models.BigIntegerField(default=PLACE_MIN)
    """Padded bytes of the smallest piece."""
    most_size = models.BigIntegerField(default=PLACE_MAX)
    """Padded bytes of the largest piece; the sector's size limits it, too."""
    is_verified_only = models.BooleanField(default=False)
    """Whether only data with an allocation are taken."""
    clients_rule = models.CharField(max_length=8, choices=ClientsRule.choices, default=ClientsRule.ANYBODY)
    clients = ArrayField(models.CharField(max_length=128), default=list, blank=True)
    """Addresses to which the rule refers."""
    start_wait = models.BigIntegerField(default=0)
    """Epochs that a deal must leave until its start, beyond what this farm's hosts need."""
    start_within = models.BigIntegerField(default=0)
    """Epochs from now within which a deal must start; 0: no limit."""
    waiting_deals = models.PositiveIntegerField(default=64)
    """Deals at most that are accepted and not in a sector yet; further ones are told to come again."""
    waiting_bytes = models.BigIntegerField(default=0)
    """Raw bytes of those at most; 0: no limit but the tenant's quota."""
    client_deals = models.PositiveIntegerField(default=16, db_default=16)
    """Deals at most of one client that wait for their data."""
    publish_wait = models.BigIntegerField(default=120, db_default=120)
    """Epochs for which a deal waits at most for others that share its message."""
    publish_most = models.PositiveIntegerField(default=500, db_default=500)
    """Deals of one message at most, which its bytes and gas limit further; so many do not wait."""
    publish_base_fee = AttoFilField(default=0, db_default=0)
    """Deals wait while the base fee (attoFIL per gas) is above it, unless they start soon; 0: no limit."""
    settle_days = models.PositiveIntegerField(default=7, db_default=7)
    """Days after which what a deal has earned is settled; 0: only by hand."""
    settle_day_fee = AttoFilField(default=FIL, db_default=FIL)
    """attoFIL of fees at most that settling by itself may cost in a UTC day; 0: no limit."""
    takes_http = models.BooleanField(default=True)
    takes_put = models.BooleanField(default=True)
    takes_offline = models.BooleanField(default=True)
    takes_libp2p = models.BooleanField(default=False, db_default=False)
    """Whether clients of market 1.2 may come by libp2p: whether the miner has a door."""
    libp2p_port = models.PositiveIntegerField(default=DOOR_PORT, db_default=DOOR_PORT)
    """On which the door listens."""
    serves_data = models.BooleanField(default=False, db_default=False)
    """Whether anybody may retrieve the data of its active sectors."""
    unseals_data = models.BooleanField(default=False, db_default=False)
    """Whether that unseals what no unsealed copy is kept of, one piece at a time."""
    retrieval_day_bytes = models.BigIntegerField(default=0, db_default=0)
    """Bytes that one network address may retrieve a day (UTC); 0: no limit."""
    indexers = ArrayField(models.CharField(max_length=200), default=list, blank=True, db_default=[])
    """URLs at which indexers are told of the miner's advertisements."""
    filter_url = models.CharField(max_length=300, blank=True, default="", db_default="")
    """Scheme and host of the filter, which is all that people see of it; empty: there is none."""
    filter_target = models.TextField(blank=True, default="", db_default="")
    """Its whole URL, encrypted: it may hold a key."""
    accepts_unfiltered = models.BooleanField(default=False, db_default=False)
    """Whether a deal is accepted without the filter's answer; else its client is told to come again."""

    def __str__(self) -> str:
        return f"market of {self.miner}"

    @property
    def sources(self) -> list[str]:
        """Return how data may come."""
        sources = (
            (DealSource.HTTP, self.takes_http),
            (DealSource.PUT, self.takes_put),
            (DealSource.OFFLINE, self.takes_offline),
        )
        return [str(source) for source, is_open in sources if is_open]


class MinerDoor(WithReasons, models.Model):
    """The last report of the process that serves a miner's libp2p door."""

    miner = models.OneToOneField(Miner, on_delete=models.CASCADE, primary_key=True, related_name="door")
    host = models.CharField(max_length=100)
    """Machine of that process."""
    port = models.PositiveIntegerField()
    peer_id = models.CharField(max_length=128, blank=True)
    """Peer id of the key with which it answers; empty: it has none."""
    said_at = models.DateTimeField()
    reason = ReasonTextField(blank=True)
    """Why it does not answer; empty: it did when that was written."""
    reason_coded = CodedField()

    def __str__(self) -> str:
        return f"door of {self.miner}"


class Deal(WithReasons, Named, Timestamped):
    """A deal between a client and a miner, accepted or refused; `uuid` is chosen by the client."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.PROTECT, related_name="deals")
    state = models.CharField(max_length=16, choices=DealState.choices)
    state_since = models.DateTimeField()
    door = models.CharField(max_length=8, choices=DealDoor.choices)
    digest = models.CharField(max_length=64)
    """SHA-256 of what was proposed: the same once more is the same deal."""
    client = AddressField()
    """Whose key signed the proposal."""
    client_id = models.BigIntegerField(null=True)
    """Its actor's id, known for deals with an allocation."""
    piece_cid = CidField()
    """Piece CID of version 1, for the padded size that the deal pays for."""
    padded_size = models.BigIntegerField()
    raw_size = models.BigIntegerField()
    """Raw bytes; where the client did not say how many, the most that there may be."""
    is_sized = models.BooleanField(default=True, db_default=True)
    """Whether it did."""
    allocation = models.BigIntegerField(null=True)
    """Allocation id in the verified registry; None for plain data."""
    start_epoch = models.BigIntegerField(null=True)
    """By which it must be active; None: the client leaves it open."""
    duration = models.BigIntegerField()
    """Epochs for which the data must be kept from then on."""
    proposal = models.BinaryField(null=True)
    """CBOR of the proposal with the client's signature, as it is published; None of deals that are not."""
    proposal_cid = CidField(blank=True, default="", db_default="")
    """CID of that without the signature, with the client's key address: the market takes none twice."""
    is_verified = models.BooleanField(default=False, db_default=False)
    """Whether publishing spends the client's data cap."""
    collateral = AttoFilField(default=0, db_default=0)
    """attoFIL that publishing locks in the miner's market balance."""
    lockup = AttoFilField(default=0, db_default=0)
    """attoFIL that it locks in the client's: the whole fee and its collateral."""
    price = AttoFilField(default=0, db_default=0)
    """attoFIL that the client pays per epoch; 0 of deals that the market actor does not hold."""
    earns_from = models.BigIntegerField(null=True)
    """Epoch from which the fee falls to the miner; None: it is not active, or costs nothing."""
    earns_until = models.BigIntegerField(null=True)
    """Epoch up to which it does: the deal's end, or where its sector ended before."""
    settled_to = models.BigIntegerField(null=True)
    """Epoch up to which the market actor has paid the miner, as a node said last."""
    settled_at = models.BigIntegerField(null=True)
    """Height at which that was read."""
    chain_deal = models.BigIntegerField(null=True)
    """Number at the market actor, once it is published."""
    is_indexed = models.BooleanField(default=False)
    """Whether the client wants its blocks to be found."""
    is_announced = models.BooleanField(default=False)
    """Whether it wants them announced to indexers."""
    removes_copy = models.BooleanField(default=False, db_default=False)
    """Whether it wants no unsealed copy kept once the deal is active."""
    source = models.CharField(max_length=8, choices=DealSource.choices)
    places = models.TextField(blank=True)
    """Encrypted JSON of the client's URLs with their headers, in the order of trying; empty once the data are
    in a sector, or will not come."""
    place_at = models.PositiveIntegerField(default=0)
    """Which of them is being tried."""
    chunk_size = models.BigIntegerField(null=True)
    """Bytes of each chunk but the last; None: it is not uploaded in chunks."""
    is_whole = models.BooleanField(default=False)
    """Whether the client said that all chunks are here."""
    data_until = models.DateTimeField(null=True)
    """Fails then, if its data have not come."""
    piece = models.ForeignKey(Piece, null=True, on_delete=models.SET_NULL, related_name="deals")
    sector_number = models.BigIntegerField(null=True)
    """Number of the sector that last held the piece; an ended one comes back with a reorganisation."""
    reason = ReasonTextField(blank=True)
    """Why it was refused or failed, or what went wrong last."""
    reason_coded = CodedField()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["id"],
                name="deals_without_data",
                condition=models.Q(state__in=[str(state) for state in WITHOUT_DATA]),
            ),
            models.Index(
                fields=["start_epoch"],
                name="deals_in_no_sector",
                condition=models.Q(
                    state__in=["ACCEPTED", "TRANSFERRING", "UNPUBLISHED", "PUBLISHING", "VERIFIED"]
                ),
            ),
            models.Index(
                fields=["id"],
                name="deals_going_on",
                condition=models.Q(state__in=["VERIFIED", "SEALING"]) | models.Q(state="ACTIVE", piece=None),
            ),
            models.Index(
                models.F("start_epoch") + models.F("duration"),
                name="deals_by_end",
                condition=models.Q(state="ACTIVE", chain_deal__isnull=False),
            ),
            models.Index(fields=["miner", "state"], name="deals_by_miner"),
            models.Index(fields=["client"], name="deals_by_client"),
            models.Index(
                fields=["allocation"],
                name="deals_by_allocation",
                condition=models.Q(allocation__isnull=False),
            ),
            models.Index(
                fields=["miner", "earns_from"],
                name="deals_by_first_payment",
                condition=models.Q(earns_from__isnull=False),
            ),
            models.Index(
                fields=["miner", "earns_until"],
                name="deals_by_last_payment",
                condition=models.Q(earns_from__isnull=False),
            ),
            models.Index(
                fields=["settled_at"],
                name="deals_to_settle",
                condition=models.Q(settled_to__lt=models.F("earns_until")),
            ),
            models.Index(
                fields=["miner", "settled_to"],
                name="deals_owing_longest",
                condition=models.Q(settled_to__lt=models.F("earns_until")),
            ),
            models.Index(
                fields=["miner", "earns_until"],
                name="deals_owing_after_end",
                condition=models.Q(settled_to__lt=models.F("earns_until")),
            ),
            models.Index(
                fields=["proposal_cid"], name="deals_by_proposal", condition=~models.Q(proposal_cid="")
            ),
        ]

    def __str__(self) -> str:
        return f"deal {self.uuid}"

    @property
    def is_published(self) -> bool:
        """Return whether the market actor holds it, or is to hold it."""
        return self.door in PUBLISHED

    @property
    def terms(self) -> dict[str, int | None]:
        """Return under what its piece is activated, as columns of the piece."""
        if self.allocation is None:
            return {"client": None, "allocation": None}
        return {"client": self.client_id, "allocation": self.allocation}

    @property
    def chunks(self) -> int:
        """Return how many chunks its upload has; 0 where it has none."""
        return -(-self.raw_size // self.chunk_size) if self.chunk_size else 0


class ClientToken(Named, models.Model):
    """A token by which a client sees its own deals, and nothing else; its text is kept nowhere."""

    client = AddressField()
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.CASCADE, related_name="client_tokens")
    """Its miners' deals are shown; None, for the deals of all miners, where an operator created the token."""
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    """SHA-256 of its text."""
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    """None: it does not expire."""
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["client"], name="client_tokens_by_client")]

    def __str__(self) -> str:
        return f"{self.name} of {self.client}"


class DealIncome(models.Model):
    """Sums of a miner's paid deals, by the day of epochs in which their payments begin and end.

    A deal adds its price where they begin and takes it off where they end, so that what all deals brought up
    to an epoch is a sum of days, not of deals.
    """

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="deal_income")
    day = models.BigIntegerField()
    """Epoch divided by `EPOCHS_PER_DAY_MAINNET`, on every network."""
    rate = AttoFilField(default=0)
    """attoFIL per epoch by which payments rise in it; below 0 where more end."""
    moment = AttoFilField(default=0)
    """The same, each price times the epoch of its beginning or end."""
    settled = AttoFilField(default=0)
    """attoFIL whose payment by the market actor was read in it."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["miner", "day"], name="one_income_per_day")]

    def __str__(self) -> str:
        return f"income of {self.miner_id} on day {self.day}"


class DealCount(models.Model):
    """How many deals of a client with a miner are in a state: a sum, and the changes since it was made.

    A trigger of the database adds a row for each deal that comes, goes or changes its state, so that no
    writer waits for another one's sum; heads make one row of several.
    """

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="deal_counts")
    client = AddressField()
    state = models.CharField(max_length=16)
    deals = models.BigIntegerField()
    """Below 0 of a deal that has left the state."""
    raw_bytes = models.BigIntegerField()
    first_at = models.DateTimeField()
    """When the oldest of the deals was proposed, kept or not."""
    last_at = models.DateTimeField()
    is_new = models.BooleanField(default=True)
    """Whether it is a change, and no sum yet."""

    class Meta:
        indexes = [
            models.Index(fields=["client"], name="deal_counts_by_client"),
            models.Index(fields=["miner", "client", "state"], name="deal_counts_by_miner"),
            models.Index(fields=["id"], name="deal_counts_new", condition=models.Q(is_new=True)),
        ]

    def __str__(self) -> str:
        return f"{self.deals} deals of {self.client} with {self.miner_id}"


class DealMessage(models.Model):
    """A message that publishes a deal, with others; the newest is the one under way.

    An earlier one that came to nothing can still land: its signature is out.
    """

    deal = models.ForeignKey(Deal, on_delete=models.CASCADE, related_name="messages")
    message = models.ForeignKey(
        Message, null=True, on_delete=models.SET_NULL, related_name="+", db_constraint=False
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["deal", "message"], name="deal_once_per_message")]

    def __str__(self) -> str:
        return f"message {self.message_id} of {self.deal_id}"


class Settlement(models.Model):
    """A message that settles deals of a miner: the market actor pays what they have earned (FIP-0074)."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="settlements")
    message = models.ForeignKey(
        Message, null=True, on_delete=models.SET_NULL, related_name="+", db_constraint=False
    )
    is_open = models.BooleanField(default=True)
    """Whether its outcome is not noted yet."""
    fee = AttoFilField()
    """attoFIL that it costs, as its trial and the base fee of then said."""
    owed = AttoFilField()
    """attoFIL that its trial paid."""
    paid = AttoFilField(default=0)
    """attoFIL that it has paid, once it has landed."""
    height = models.BigIntegerField(null=True)
    """Epoch in which it has landed; None: it has not, or came to nothing."""
    created_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="settlements_open", condition=models.Q(is_open=True)),
            models.Index(fields=["miner", "created_at"], name="settlements_by_day"),
        ]

    def __str__(self) -> str:
        return f"settlement {self.pk} of {self.miner_id}"


class DealSettlement(models.Model):
    """One deal of such a message."""

    settlement = models.ForeignKey(Settlement, on_delete=models.CASCADE, related_name="deals")
    deal = models.ForeignKey(Deal, on_delete=models.CASCADE, related_name="settlements")
    is_open = models.BooleanField(default=True)
    """As of the settlement: a deal is in one open settlement at most."""
    payment = AttoFilField(default=0)
    """attoFIL that it has paid for this deal."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["deal"], condition=models.Q(is_open=True), name="one_open_settlement_per_deal"
            )
        ]

    def __str__(self) -> str:
        return f"settlement {self.settlement_id} of {self.deal_id}"


class SettlementCheck(WithReasons, models.Model):
    """When it was last seen what a miner's deals are owed, and why nothing of it is settled."""

    miner = models.OneToOneField(
        Miner, on_delete=models.CASCADE, primary_key=True, related_name="settlement_check"
    )
    height = models.BigIntegerField()
    reason = ReasonTextField(blank=True)
    """Why what is due was not settled then; empty if it was."""
    reason_coded = CodedField()

    def __str__(self) -> str:
        return f"settling of {self.miner_id}"


class DealChunk(models.Model):
    """One chunk of a deal's upload that is on the disk for certain."""

    deal = models.ForeignKey(Deal, on_delete=models.CASCADE, related_name="received_chunks")
    number = models.PositiveIntegerField()
    """From 1 on."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["deal", "number"], name="one_row_per_chunk")]

    def __str__(self) -> str:
        return f"chunk {self.number} of {self.deal_id}"


class DealFolder(WithReasons, models.Model):
    """A folder on a host with data of offline deals, as the host reported it last."""

    worker = models.OneToOneField(
        Worker, on_delete=models.CASCADE, primary_key=True, related_name="deal_folder"
    )
    path = models.TextField()
    said_at = models.DateTimeField()
    """When it was reported last, to a minute."""
    reason = ReasonTextField(blank=True)
    """Why the host cannot read it; empty if it does."""
    reason_coded = CodedField()

    def __str__(self) -> str:
        return f"{self.path} on {self.worker_id}"


class DealFile(WithReasons, models.Model):
    """One file of such a folder."""

    folder = models.ForeignKey(DealFolder, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=255)
    size = models.BigIntegerField()
    piece_cid = CidField(blank=True, default="")
    """The CID of version 2; empty while it is not known."""
    deal = models.ForeignKey(Deal, null=True, on_delete=models.SET_NULL, related_name="files")
    """That waits for it, or has it."""
    reason = ReasonTextField()
    """Why it was taken, or was not."""
    reason_coded = CodedField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["folder", "name"], name="one_row_per_deal_file")]

    def __str__(self) -> str:
        return f"{self.name} in {self.folder_id}"


class AdChain(models.Model):
    """The IPNI advertisements of a peer's key, in one chain; another key begins another one."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="ad_chains")
    peer_id = models.CharField(max_length=128, unique=True)
    addresses = ArrayField(models.CharField(max_length=300), default=list)
    """Multiaddresses that the newest advertisement names, signed or not."""
    length = models.PositiveIntegerField(default=0)
    """Signed advertisements; those are served."""
    head = CidField(blank=True, default="")
    """The last of them; empty: none yet."""
    head_body = models.BinaryField(null=True)
    """The signed head as it is served."""
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"advertisements of {self.miner} by {self.peer_id}"


class Advertisement(models.Model):
    """One link of a chain: made by a head, signed by the process that has the key, then never changed."""

    chain = models.ForeignKey(AdChain, on_delete=models.CASCADE, related_name="advertisements")
    number = models.PositiveIntegerField()
    """Place in the chain, from 1 on: it links to the one before."""
    kind = models.CharField(max_length=16, choices=AdKind.choices)
    piece_cid = CidField(blank=True, default="")
    """Piece that is added or removed, with its padded size; empty where only addresses change."""
    padded_size = models.BigIntegerField(default=0)
    addresses = ArrayField(models.CharField(max_length=300), default=list)
    metadata = models.BinaryField(default=b"")
    entries = CidField(blank=True, default="")
    """First chunk of its multihashes; empty: it has none."""
    blocks_entries = CidField(blank=True, default="", db_default="")
    """First chunk of its blocks' multihashes, to which `entries` leads on; empty: it adds none."""
    blocks = models.BigIntegerField(default=0, db_default=0)
    """How many of them there are."""
    is_live = models.BooleanField(default=False)
    """Whether it adds a piece that no later one removes or adds anew."""
    cid = CidField(blank=True, default="")
    """Empty before it is signed."""
    body = models.BinaryField(null=True)
    """As it is served; None before it is signed."""
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chain", "number"], name="one_advertisement_per_number"),
            models.UniqueConstraint(
                fields=["chain", "piece_cid", "padded_size"],
                condition=models.Q(is_live=True),
                name="one_advertisement_per_live_piece",
            ),
        ]
        indexes = [
            models.Index(fields=["chain", "cid"], name="ads_by_cid", condition=~models.Q(cid="")),
            models.Index(fields=["chain", "number"], name="ads_unsigned", condition=models.Q(body=None)),
        ]

    def __str__(self) -> str:
        return f"advertisement {self.number} of {self.chain_id}"


class EntryChunk(models.Model):
    """The chunk of a piece's own multihashes as it is served; it goes once its piece is removed.

    Those of the blocks within are made of the piece's index: `HashChunk`.
    """

    advertisement = models.ForeignKey(Advertisement, on_delete=models.CASCADE, related_name="chunks")
    cid = CidField()
    body = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["advertisement", "cid"], name="chunk_once_per_advertisement")
        ]
        indexes = [models.Index(fields=["cid"], name="chunks_by_cid")]

    def __str__(self) -> str:
        return f"chunk {self.cid}"


class IndexerAnswer(WithReasons, models.Model):
    """The last answer of an indexer to the announcement of a chain's head."""

    chain = models.ForeignKey(AdChain, on_delete=models.CASCADE, related_name="answers")
    url = models.CharField(max_length=200)
    head = CidField()
    """The head that was announced."""
    told_at = models.DateTimeField()
    reason = ReasonTextField(blank=True)
    """Why it did not take it; empty if it did."""
    reason_coded = CodedField()
    attempts = models.PositiveIntegerField(default=0)
    """In a row without success."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["chain", "url"], name="one_answer_per_indexer")]

    def __str__(self) -> str:
        return f"answer of {self.url} to {self.chain_id}"


class IndexerFetch(models.Model):
    """The last part of a chain that a network address fetched."""

    chain = models.ForeignKey(AdChain, on_delete=models.CASCADE, related_name="fetches")
    address = models.CharField(max_length=64)
    agent = models.CharField(max_length=100, blank=True)
    """As it calls itself."""
    cid = CidField(blank=True, default="")
    """Advertisement that it fetched last; empty: only the head."""
    hashes = models.BigIntegerField(default=0, db_default=0)
    """Multihashes that it fetched in all."""
    fetched_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chain", "address", "agent"], name="one_fetch_per_indexer")
        ]

    def __str__(self) -> str:
        return f"{self.address} read {self.chain_id}"
