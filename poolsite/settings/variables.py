"""The variables that the console reads, with default and meaning: docs/settings.md is made from them.

A test compares the names with those that are read, and the defaults of numbers with those in the code.
"""

from __future__ import annotations

from typing import Final

VARIABLES: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "Where the console listens": {
        "PORT": ("8000", "the console's port"),
        "POOLSITE_HOST": (
            "localhost",
            "the address to listen on; `localhost` means both loopback addresses, `0.0.0.0` all interfaces",
        ),
        "POOLSITE_URL": (
            "from `POOLSITE_HOST` and `PORT`",
            "how people reach the console, for links in notifications",
        ),
        "ALLOWED_HOSTS": (
            "localhost,127.0.0.1,[::1]",
            "host names the console accepts, besides `POOLSITE_HOST`",
        ),
        "CSRF_TRUSTED_ORIGINS": (
            "",
            "origins of the pages behind a TLS proxy, such as `https://pool.example`",
        ),
        "POOLSITE_TLS": (
            "0",
            "1: a proxy in front of the console terminates TLS and sets `X-Forwarded-Proto`; cookies are "
            "sent over TLS only, and pages send HSTS ([more](security.md#what-is-up-to-you))",
        ),
        "FORWARDED_ALLOW_IPS": (
            "127.0.0.1,::1",
            "addresses and networks of proxies in front of the console: from them it accepts "
            "`X-Forwarded-For` and `X-Forwarded-Proto`; a comma alone: from none",
        ),
        "COMPAT_PORTS": (
            "0",
            "1: also answer on the ports of the components that the pool replaces "
            "([which](operations/old-ports.md)); or only on some, such as "
            "`8989,5678`",
        ),
        "ADDRESS_TOKENS": (
            "",
            "tokens for programs that send none, by source address, on those ports only: "
            "`10.0.3.7=/path/to/token,…` ([why](api.md#for-damocles-workers))",
        ),
        "SIGNER_LISTEN": ("a free port", "the address of the signer's wallet API"),
        "SOURCE_URL": (
            "the origin of the console's clone",
            "where other hosts clone Poolsite from, for the commands of *Join a host…* and *Tokens*",
        ),
    },
    "State, servers and keys": {
        "POOLSITE_VAR": ("`var`", "the folder with all state"),
        "DATABASE_URL": (
            "embedded",
            "your own PostgreSQL to use instead ([what it needs](requirements.md#postgresql))",
        ),
        "REDIS_URL": (
            "embedded",
            "your own Valkey or Redis to use instead ([what it needs](requirements.md#redis))",
        ),
        "SECRET_KEY": (
            "`var/keys/django_secret`",
            "key for sessions and second factors; generated at the first start",
        ),
        "SECRET_KEY_FALLBACKS": ("", "previous keys, comma-separated: what they encrypted can still be read"),
        "DISK_RESERVE_BYTES": (
            "2147483648",
            "free space on the disk of `POOLSITE_VAR` below which nothing new is pledged or claimed",
        ),
        "DATABASE_SLOW_MS": (
            "250",
            "milliseconds of a trivial statement with its commit over which, for two minutes, *Today* warns "
            "that the database is slow",
        ),
        "BACKUP_WITHIN_H": (
            "48",
            "hours after which *Today* warns that the last [`make backup`](operations/backups.md) "
            "is too old; 0: never",
        ),
        "EVENTS_KEPT_MONTHS": (
            "0",
            "whole months for which the steps of jobs and the lines of messages' timelines are kept, at "
            "least 6; 0: for ever ([what that takes away](operations/upgrade.md#what-grows))",
        ),
        "MESSAGES_ARCHIVED_MONTHS": (
            "0",
            "months of 31 days after which a message that landed is moved into the "
            "[archive](operations/upgrade.md#what-grows), at least 3; 0: never",
        ),
        "BLOCK_ROUNDS_KEPT_H": (
            "24",
            "hours for which individual election rounds without a win are kept; after that, only daily "
            "totals are",
        ),
    },
    "Sign-in by the company": {
        "OIDC_ISSUER": (
            "",
            "URL of an OpenID Connect provider through which people "
            "[sign in](operations/company-sign-in.md), by https (on this machine also http)",
        ),
        "OIDC_CLIENT_ID": ("", "how the provider knows Poolsite; with `OIDC_ISSUER`"),
        "OIDC_CLIENT_SECRET_FILE": (
            "",
            "file with the client's secret, of mode 600 and owned by the console's user; with `OIDC_ISSUER`",
        ),
        "OIDC_GROUPS": (
            "{}",
            "JSON object with a role for each of the provider's groups that may sign in, such as "
            '`{"pool": "OPERATOR", "acme-ops": "TENANT acme"}`; with `OIDC_ISSUER`',
        ),
        "OIDC_NAME": ("SSO", "what pages call the provider"),
        "OIDC_SCOPE": ("openid profile groups", "scopes that are asked for"),
        "OIDC_GROUPS_CLAIM": ("groups", "the claim that lists a person's groups"),
        "OIDC_SESSION_H": ("12", "hours after which the provider is asked again; at most 336"),
    },
    "Chain": {
        "CHAIN_URLS": (
            "the devnet",
            "real nodes to use instead, comma-separated, on any Filecoin network "
            "([which](operations/networks.md#which-networks-can-the-pool-work-on)); each "
            "`token:http://host:1234/rpc/v1`, `token:/ip4/127.0.0.1/tcp/1234/http`, or one without a "
            "token",
        ),
        "NETWORK_PARAMS": (
            "{}",
            "on a network without built-in rules, what the node does not report: a JSON object with the "
            "members of `StateGetNetworkParams`",
        ),
        "POOLSITE_NETWORK": ("demo", "the chain's profile: `demo`, `test`, `soak` or `lotus-2k`"),
        "DEVNET_LISTEN": ("127.0.0.1:1234", "the address the devnet listens on"),
        "BLOCK_F3": (
            "1",
            "0: request no fast finality leases, because another program does so for the same miners",
        ),
        "NODE_TIME_S": (
            "20",
            "seconds a minute for which one tenant's [costly "
            "reads](api.md#how-much-may-a-tenant-ask-of-the-nodes) may keep a node busy, in each web "
            "process; 0: no limit",
        ),
        "NODE_RESPONSE_MAX_BYTES": ("134217728", "largest response accepted from a node or a market"),
        "PROVIDER_RESPONSE_MAX_BYTES": (
            "4194304",
            "largest response accepted from a signer, prover or storage",
        ),
    },
    "Sealing and proofs": {
        "SEALING": (
            "{}",
            "the pool's sealing settings, as a JSON object ([which](sealing/settings.md)); a miner's own "
            "are set on its *Batches* page",
        ),
        "C1_DIR": (
            "`c1` in `POOLSITE_VAR`",
            "folder for C1 outputs waiting for [C2 on another "
            "host](sealing/host-file.md#c2-on-another-machine); web and task processes of all console "
            "machines share it",
        ),
        "POOLSITE_SNARK": (
            "auto",
            "form of the pool's proofs: `auto` (Groth16 once its parameters exist, where it is fast "
            "enough; [containers](proof-container.md) until then), `groth16`, `vanilla`, `external` "
            "([more](snark.md))",
        ),
        "POOLSITE_SECTOR_SIZE": (
            "what the pool's miners have",
            "with `CHAIN_URLS`: the sector size that the pool's own sealer and prover are started for, "
            "such as `32GiB`; required by `POOLSITE_SNARK=groth16`",
        ),
        "POOLSITE_PARAMETER_SEED": (
            "",
            "with `CHAIN_URLS`, only on a devnet of your own: missing WindowPoSt parameters are generated "
            "from this text, and whoever knows it can forge proofs; refused on mainnet and calibration",
        ),
        "FIL_PROOFS_PARENT_CACHE": (
            "`/var/tmp/filecoin-parents`",
            "a sealing host's parents cache, as in rust-fil-proofs (`FIL_PROOFS_CACHE_DIR` moves it, too)",
        ),
        "FIL_PROOFS_PARAMETER_CACHE": (
            "`parameters` in `POOLSITE_VAR`",
            "folder with Groth16 parameters and verifying keys",
        ),
    },
    "Client data": {
        "PIECES_DIR": (
            "`pieces` in `POOLSITE_VAR`",
            "folder for client data; all web and task processes of all console machines read and write it",
        ),
        "PIECE_QUOTA_BYTES": (
            "-1",
            "how many bytes the client data of one tenant may take there, for a tenant without [a quota "
            "of its own](data/storage.md); 0: no limit; below 0: half of the "
            "disk without its reserve (no limit for the pool's own tenant)",
        ),
        "PIECE_COMMITMENT_S": ("1800", "time limit, in seconds, for computing one piece commitment"),
        "PIECE_URLS_PRIVATE": ("0", "1: client data may be downloaded from hosts on private networks"),
        "PIECE_DOWNLOADS": (
            "3",
            "how many pieces of one tenant are downloaded at a time; of all tenants together four times "
            "as many",
        ),
        "PIECE_RETRIEVAL_RATE": (
            "67108864",
            "bytes a second that a web process sends to all who [retrieve without a "
            "token](data/retrieval.md#anybody-by-piece-cid) together; 0: no limit",
        ),
    },
    "Alerts and figures": {
        "EMAIL_URL": (
            "",
            "mail server for alerts: `smtp://user:password@host:587/?tls=1&from=pool@example.com`, "
            "`smtps://` for TLS from the start",
        ),
        "ALERTS_PING_URL": (
            "",
            "[dead-man's switch](operations/alerts.md#who-notices-that-the-pool-notifies-nobody): an http or "
            "https URL that is called every minute while alerts work",
        ),
        "ALERT_URLS_PRIVATE": (
            "0",
            "1: [alert channels of tenants](operations/alerts.md#channels-of-tenants), and "
            "[filters of their miners' markets](data/deal-filter.md), may be on private "
            "networks",
        ),
        "FIL_PRICES": (
            "",
            "what a FIL was worth on each day, for [*Money*](operations/money.md#what-was-it-worth): a file "
            "that all consoles read, or an http or https URL",
        ),
        "FIL_PRICES_CURRENCY": ("USD", "the currency of these prices: up to 8 letters"),
        "METRICS_TOKEN": ("", "bearer token for `/metrics`; if unset, only this machine may read them"),
        "METRICS_OBJECTS": (
            "100",
            "how many miners, senders, wallets and hosts [`/metrics` names](monitoring.md); the others of "
            "each kind are summed as `other`; 0: no single ones; at most 5000",
        ),
        "OTEL_EXPORTER_OTLP_ENDPOINT": (
            "",
            "[traces](monitoring.md#traces): an OpenTelemetry collector that takes OTLP over HTTP; if unset, "
            "nothing is traced",
        ),
        "OTEL_TRACES_SAMPLER_ARG": (
            "1",
            "share of traces that are kept, 0 to 1; the same on all machines, hosts and signers",
        ),
        "LOG_LEVEL": ("INFO", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        "LOG_FORMAT": ("json", "`text` for plain text instead of JSON lines"),
        "SERVER_TIMING": ("0", "1: responses report their duration and number of queries"),
    },
    "Sizes of requests": {
        "REQUEST_MAX_BYTES": (
            "4194304",
            "largest request body; JSON-RPC and sealing hosts have their own limits",
        ),
        "RPC_REQUEST_MAX_BYTES": ("16777216", "largest JSON-RPC request or frame"),
        "RPC_INFLIGHT_MAX_BYTES": (
            "67108864",
            "memory that a web process allows for large JSON-RPC requests in progress; one tenant may use "
            "half of it",
        ),
        "REST_INFLIGHT_MAX_BYTES": ("134217728", "the same for all other large requests"),
    },
    "Machines and processes": {
        "POOLSITE_MACHINE": ("the host's name", "what this console machine is called beside others"),
        "JOIN_TOKEN": (
            "",
            "for `make console` without `JOIN_TOKEN_FILE`: the join token of a machine that is to join",
        ),
        "DEMO": (
            "",
            "1: `make up` shows a [made-up pool](operations/start.md#a-pool-to-look-at); only in an empty "
            "database",
        ),
        "POOLSITE_DISABLE": (
            "",
            "processes not to start, such as `sealer,prover` when other hosts seal; never `web-1`",
        ),
        "POOLSITE_WEB_PROCESSES": ("2", "number of web processes; they share the ports"),
        "POOLSITE_TASK_THREADS": ("8", "threads in each of the two task processes"),
        "DATABASE_CONN_MAX_AGE": (
            "0",
            "seconds for which a thread keeps its database connection; `make up` sets 600 for task "
            "workers; web processes need 0, as their few long-lived threads have their own limit of ten "
            "minutes",
        ),
        "PYTHON": (
            "the system's, then the first suitable one on PATH",
            "the Python that creates the environment",
        ),
        "POOLSITE_PROCESS": (
            "set by `make up`",
            "for a process that you start yourself: its name, such as `follower`; without it all have one "
            "heartbeat, one row in *Processes* and one name in the logs",
        ),
        "READY_PROCESSES": (
            "set by `make up`",
            "likewise: the names, comma-separated, without whose heartbeats `/readyz` answers 503; if "
            "unset it waits for none",
        ),
        "PROMETHEUS_MULTIPROC_DIR": (
            "set by `make up`",
            "likewise: an empty folder in memory through which web processes share their HTTP figures; if "
            "unset `/metrics` has those of the process that answers",
        ),
    },
}
"""By group and name: the default, and the meaning as Markdown of a page in docs/."""
