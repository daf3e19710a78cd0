"""A real S3 server (moto's) in a process of its own, which checks access keys; tests kill and stop it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.servers import port_free
from workers.storage import answers, bucket_client, bucket_files

BUCKET = "sectors"
POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": %s, "Resource": "*"}]}'
FIRST_REQUESTS = 4
"""Until the keys are made nobody has one: as many requests are taken unsigned."""


@contextmanager
def started(log: Path) -> Iterator[S3Server]:
    """Run a server, and kill it at the end."""
    one = S3Server(log)
    one.start()
    try:
        yield one
    finally:
        one.kill()


@contextmanager
def serving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Run a server on a busy machine, its access key in the hosts' environment; looks ask it each time."""
    with started(folder / "s3-log") as one:
        for name, value in one.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(bucket_client, "READ_S", 300.0)
        monkeypatch.setattr(answers, "CHECK_S", 600.0)
        monkeypatch.setattr(bucket_files, "CHECK_AGAIN_S", 0.0)
        monkeypatch.setattr(bucket_files, "LIST_SHARE", 0)
        yield one


@dataclass
class S3Server:
    """The server, with two access keys: one for everything, one that may only read."""

    log: Path
    port: int = field(default_factory=port_free)
    process: subprocess.Popen[bytes] | None = None
    key: str = ""
    secret: str = ""
    reader_key: str = ""
    reader_secret: str = ""

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a worker's environment has."""
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}

    def start(self) -> None:
        """Start it, with an empty bucket."""
        environment = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(2 * FIRST_REQUESTS)}
        argv = [sys.executable, "-m", "moto.server", "-p", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log)
        while not _listens(self.port):
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            time.sleep(0.05)
        iam = boto3.client(
            "iam",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="nobody",
            aws_secret_access_key="nothing",
        )
        made = []
        for name, actions in (("all", '"*"'), ("reader", '["s3:Get*", "s3:List*", "s3:Head*"]')):
            iam.create_user(UserName=name)
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=POLICY % actions)
            made.append(iam.create_access_key(UserName=name)["AccessKey"])
            iam.list_access_keys(UserName=name)
        self.key, self.secret = made[0]["AccessKeyId"], made[0]["SecretAccessKey"]
        self.reader_key, self.reader_secret = made[1]["AccessKeyId"], made[1]["SecretAccessKey"]
        self.client().create_bucket(Bucket=BUCKET)

    def client(self) -> Any:
        """A client of its own, to see what lies there."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )

    def keys(self, prefix: str = "") -> list[str]:
        """The keys of all objects."""
        told = self.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [one["Key"] for one in told.get("Contents", ())]

    def kill(self) -> None:
        """Kill it: what lay in it is gone."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def hang(self) -> None:
        """Stop it in the middle of what it does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
