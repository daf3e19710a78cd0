"""A sector that is stored in a bucket, and what the server tells of uploads."""

from __future__ import annotations

from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.stores import AttachedStore
from tests.s3_server import BUCKET, S3Server
from workers.storage.bucket_settings import BucketSettings
from workers.storage.moves import MovedSector
from workers.storage.store import Store
from workers.storage.store_condition import store_condition_read
from workers.storage.stores import Stores

NAME = "s-t01000-7"
PROOF = 5
PART = 5 << 20
"""The smallest part that S3 takes."""


def settings_of(server: S3Server) -> BucketSettings:
    return BucketSettings(endpoint=server.endpoint, region="us-east-1")


def moved(stores: Stores, *, back: bool = False) -> MovedSector:
    """The order to move sector 7 to the other store."""
    uids = [one.uid for one in stores.attached()]
    first = Store(stores.roots[0]).files(seal_parameters(PROOF), miner_id=1000, number=7)
    second = Store(stores.roots[1]).files(seal_parameters(PROOF), miner_id=1000, number=7)
    comm_r = (first.comm_r or second.comm_r) or b""
    return MovedSector("m-1", 1000, 7, PROOF, comm_r, *(reversed(uids) if back else uids))


def looked(stores: Stores) -> AttachedStore:
    """What the host tells of the bucket."""
    return store_condition_read(stores.attached()[1], stores, sector_bytes=2048)


def parts_put(server: S3Server, key: str) -> str:
    """An upload that a kill broke off after its first part, as it is named."""
    place = {"Bucket": BUCKET, "Key": key}
    name: str = server.client().create_multipart_upload(**place)["UploadId"]
    server.client().upload_part(**place, UploadId=name, PartNumber=1, Body=bytes(1000))
    return name


def uploads(server: S3Server, prefix: str) -> list[str]:
    """The keys of uploads that are not complete."""
    told = server.client().list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
    return [one["Key"] for one in told.get("Uploads", ())]
