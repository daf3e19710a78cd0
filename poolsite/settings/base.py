"""Settings common to every installation; what differs comes from the environment (12-factor)."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from poolsite.settings.broker import broker_from_redis_url
from poolsite.settings.environment import (
    database_from_url,
    email_from_url,
    env_currency,
    env_flag,
    env_groups,
    env_issuer,
    env_level,
    env_list,
    env_months,
    env_number,
    env_object,
    env_redis_url,
    env_source,
    env_text,
    env_url,
    machine_name,
    origin_of,
    together,
)
from poolsite.settings.logs import logging_for

BASE_DIR = Path(__file__).resolve().parent.parent.parent
VAR = Path(env_text("POOLSITE_VAR", str(BASE_DIR / "var"))).resolve()
"""Everything that this installation keeps on disk."""
DATABASE_MARKER: Path | None = VAR.with_name(f"{VAR.name}.database")
"""What was last seen of the database; beside `var`, so that no copy of `var` brings an old one back."""

DEBUG = False
SECRET_KEY = env_text("SECRET_KEY", "")
SECRET_KEY_FALLBACKS = env_list("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")

# The order matters: contrib.messages would take the label of our own messager.
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "apps.core",
    "apps.users",
    "apps.chain",
    "apps.gateway",
    "apps.wallets",
    "apps.messages",
    "apps.miners",
    "apps.pieces",
    "apps.sectors",
    "apps.damocles",
    "apps.market",
    "apps.proving",
    "apps.blocks",
    "apps.checks",
    "apps.automation",
    "apps.history",
    "apps.moves",
    "apps.api",
    "apps.dashboard",
]

MIDDLEWARE = [
    "apps.core.middleware.RequestLogMiddleware",
    "apps.core.middleware.ServerTimingMiddleware",
    "apps.core.middleware.DatabaseUnavailableMiddleware",
    "apps.core.middleware.PageCompressionMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "apps.core.middleware.ContentSecurityMiddleware",
    "apps.core.static.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.dashboard.languages.LanguageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "poolsite.urls"
ASGI_APPLICATION = "poolsite.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ],
            "builtins": [
                "django.templatetags.i18n",
                "apps.dashboard.templatetags.poolsite",
                "apps.dashboard.templatetags.texts",
            ],
        },
    }
]

# No connection is kept between requests: under ASGI every thread would hold one of its own
# and the server runs out of them; with 0, forty parallel clients lost nothing and were quicker.
# A task worker has few threads and keeps theirs: to open one costs more CPU time than most tasks.
# The few threads that answer requests one after the other keep theirs too: apps/core/handler.py.
PROCESS_NAME = env_text("POOLSITE_PROCESS", "manage")
"""What this process is called on the pages and in the logs; the supervisor sets it."""
MACHINE_NAME = machine_name()
"""What this console machine is called beside others."""
SESSION_NAME = (
    f"{PROCESS_NAME[:20]}@{MACHINE_NAME} {secrets.token_hex(4)}" if PROCESS_NAME != "manage" else ""
)
"""What this run of a process calls its database sessions, so that others can end them if it hangs
(`apps.core.process_leases`); empty for commands."""
DATABASES = {
    "default": database_from_url(env_text("DATABASE_URL", "postgresql:///poolsite"))
    | {
        "CONN_MAX_AGE": env_number("DATABASE_CONN_MAX_AGE", 0),
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }
}
if SESSION_NAME:
    DATABASES["default"]["OPTIONS"]["application_name"] = SESSION_NAME
# So long without a push or read a web process keeps the two connections that these share: to open one for
# each costs a program that calls once in a second more than the call.
DB_THREAD_IDLE_S = 10.0
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env_redis_url("REDIS_URL", "redis://localhost:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": [REDIS_URL],  # of a text Django makes several, at each comma of a password
        "OPTIONS": {"socket_timeout": 2.0, "socket_connect_timeout": 2.0},
    }
}
CHANNEL_LAYERS = {
    # The core layer stays deaf for ever after Redis was killed; this one subscribes again.
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "poolsite"},
    }
}

AUTH_USER_MODEL = "users.User"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
# The first one hashes; what the other one hashed is hashed anew at the next sign-in.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "apps.dashboard.pages.entry.form_tokens.form_token_refused"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = env_number("REQUEST_MAX_BYTES", 4 * 1024 * 1024)
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000
"""A form names up to 1,000 sectors, each in a field; Django takes 1,000 fields."""

BLOCK_ROUNDS_KEPT_H = env_number("BLOCK_ROUNDS_KEPT_H", 24)
"""Hours for which a miner's rounds without a win are kept one by one; then each day's sums are."""
BLOCK_F3 = env_number("BLOCK_F3", 1)
"""Whether the pool's miners take part in fast finality; 0 where another program leases it for them."""
RPC_REQUEST_MAX_BYTES = env_number("RPC_REQUEST_MAX_BYTES", 16 * 1024 * 1024)
"""Largest request of JSON-RPC, by POST or as a frame: a batch of 170 messages as large as the chain takes."""
RPC_INFLIGHT_MAX_BYTES = env_number("RPC_INFLIGHT_MAX_BYTES", 64 * 1024 * 1024)
"""What a web process holds of large requests at once; one tenant has the half of it."""
REST_INFLIGHT_MAX_BYTES = env_number("REST_INFLIGHT_MAX_BYTES", 128 * 1024 * 1024)
"""The same of other requests: a sealing host's report has 64 MiB at most."""
FILE_UPLOAD_MAX_MEMORY_SIZE = REST_INFLIGHT_MAX_BYTES
"""Django writes a body above this to disk: never, as what is held is limited."""
NODE_TIME_S = env_number("NODE_TIME_S", 20)
"""Seconds a minute for which a tenant's costly reads may keep a node busy, per web process; 0: no limit."""
NODE_RESPONSE_MAX_BYTES = env_number("NODE_RESPONSE_MAX_BYTES", 128 * 1024 * 1024)
"""Largest answer of a node or a market: the sectors of a miner with a hundred thousand are 90 MB."""
PROVIDER_RESPONSE_MAX_BYTES = env_number("PROVIDER_RESPONSE_MAX_BYTES", 4 * 1024 * 1024)
"""Largest answer of a signer, prover or storage; proofs of one request are below 200 kB."""

DISK_LOW_SHARE = 0.1
"""Free part of that disk below which *Today* warns."""
DATABASE_SLOW_MS = env_number("DATABASE_SLOW_MS", 250, least=1)
DISK_RESERVE_BYTES = env_number("DISK_RESERVE_BYTES", 2 * 1024**3)
"""Room on the disk of VAR below which nothing new is pledged or claimed."""

SEALING = env_object("SEALING")
"""The pool's own values of `SealingPolicy`; checked when it starts."""
PIECES_DIR = env_text("PIECES_DIR", str(VAR / "pieces"))
"""Where the raw bytes of pieces are kept; shared by all web and task processes."""
C1_DIR = env_text("C1_DIR", str(VAR / "c1"))
"""Where the output of C1 lies until another host has made C2 of it; shared by all web and task processes."""
PIECE_QUOTA_BYTES = env_number("PIECE_QUOTA_BYTES", -1)
"""How many raw bytes the pieces of a tenant without a quota of its own may take there; 0: no limit; below 0:
half of that disk without its reserve, and no limit for the pool's own tenant."""
PIECE_COMMITMENT_COMMAND = [sys.executable, "-m", "workers", "commp"]
"""Prints the commitment of a file as JSON (`comm_p`, `piece_size`)."""
PIECE_COMMITMENT_S = env_number("PIECE_COMMITMENT_S", 1800)
"""Time for the commitment of one piece: a minute for 32 GiB."""
PIECE_URLS_PRIVATE = env_flag("PIECE_URLS_PRIVATE")
"""Whether pieces may be fetched from hosts of private networks; a tenant could look around there."""
PIECE_DOWNLOADS = env_number("PIECE_DOWNLOADS", 3)
"""Pieces of one tenant that are downloaded side by side; of all tenants, four times as many."""
PIECE_RETRIEVAL_RATE = env_number("PIECE_RETRIEVAL_RATE", 64 * 1024 * 1024)
"""Bytes a second of all retrievals without a token together in one web process; 0: no limit."""

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
"""Languages of the pages, each by its own name; machines are always answered in the first."""
LOCALE_PATHS = [BASE_DIR / "poolsite" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR / "static"
# Read from the source folders once at start: nothing has to be collected first.
WHITENOISE_USE_FINDERS = True

# Task messages are hints (the rows are the truth), so they are acknowledged early; but prefetched
# ones wait unacknowledged and a killed worker would keep them for an hour, so nothing is prefetched.
CELERY_BROKER_URL, CELERY_BROKER_USE_SSL = broker_from_redis_url(REDIS_URL)
# Without limits of time whoever sends a task waits for a server that hangs: the follower, a request.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 60,
    "socket_timeout": 5.0,
    "socket_connect_timeout": 2.0,
    "socket_keepalive": True,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_POOL = "apps.core.task_threads:TaskPool"
CELERY_WORKER_CONCURRENCY = env_number("POOLSITE_TASK_THREADS", 8)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "io"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True

REST_FRAMEWORK = {
    # Ours stand at each view.  The library's own would take a password by HTTP Basic, unthrottled.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "apps.api.auto_schema.PoolSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "COERCE_DECIMAL_TO_STRING": True,
    "URL_FORMAT_OVERRIDE": None,  # `?format=` is no parameter of ours but for the document: `SchemaView`
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Poolsite",
    "DESCRIPTION": "A Filecoin mining pool. Send a token as `Authorization: Bearer`. Amounts are attoFIL as "
    "text, bytes are base64, times are UTC. Every refusal has `code`, `message` and `field`.",
    "LICENSE": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"docExpansion": "none", "filter": True},
    "SERVERS": [{"url": "/"}],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_PATCH": False,  # the fields that a PATCH needs are its serializer's own
    "ENUM_NAME_OVERRIDES": {
        "AddressChange": "apps.miners.states.AddressChange.values",
        "AdoptionState": "apps.sectors.states.AdoptionState.values",
        "AlertChannelKind": "apps.checks.states.ChannelKind.values",
        "AlertEntryKind": "apps.checks.states.AlertEntryKind.values",
        "AlertState": "apps.checks.selectors.alert_history.STATES",
        "AutoRuleKind": "apps.automation.states.RuleKind.values",
        "BottleneckKind": "apps.sectors.selectors.bottleneck.KINDS",
        "BulkAction": "apps.api.v1.message_changes.BULK_ACTIONS",
        "ChallengeRule": "apps.api.v1.miner_output.CHALLENGE_RULES",
        "ChangeKind": "poolsite.wire.pipeline.changes.ChangeKind",
        "ChangeState": "poolsite.wire.pipeline.changes.ChangeState",
        "CheckKind": "apps.proving.states.CheckKind.values",
        "CheckRunState": "apps.proving.states.CheckState.values",
        "ClientDealState": "apps.api.v1.clients.OUTCOMES",
        "ComponentCondition": "apps.api.v1.status.CONDITIONS",
        "ComponentName": "apps.api.v1.status.COMPONENTS",
        "ConsoleProcessState": "apps.core.processes.PROCESS_STATES",
        "CopyCondition": "apps.sectors.states.CopyCondition.values",
        "CheckSeverity": "apps.checks.selectors.alert_history.SEVERITIES",
        "DealState": "apps.market.states.DealState.values",
        "ExclusiveRole": "apps.miners.states.EXCLUSIVE_ROLES",
        "FailureKind": "apps.sectors.selectors.failures.KINDS",
        "FailureLevel": "apps.api.v1.wire_schema.FAILURE_LEVELS",
        "FaultDeclarationState": "apps.proving.states.DeclarationState.values",
        "FileState": "poolsite.wire.store_checks.FileState",
        "FindingKind": "apps.sectors.states.FindingKind.values",
        "FindingState": "apps.sectors.states.FindingState.values",
        "HostOperation": "apps.api.v1.host_commands.OPERATIONS",
        "HostRole": "apps.users.states.JOINS",
        "JobKind": "apps.api.v1.wire_schema.JOB_KINDS",
        "LimitLevel": "apps.api.v1.message_diagnosis.LIMIT_LEVELS",
        "LimitSetting": "apps.api.v1.message_diagnosis.LIMIT_SETTINGS",
        "MessageState": "apps.messages.states.MessageState.values",
        "MinerState": "apps.miners.states.MinerState.values",
        "MoveDirection": "apps.api.v1.miner_moves.DIRECTIONS",
        "MoveStepState": "apps.api.v1.miner_moves.STEP_STATES",
        "NoncePlace": "apps.api.v1.senders.PLACES",
        "NodeRole": "apps.chain.states.NodeRole.values",
        "NodeState": "apps.chain.states.NodeCondition.values",
        "NotEligibleReason": "apps.blocks.states.WhyNot.values",
        "ParallelBound": "apps.sectors.selectors.parallel_plan.BOUNDS",
        "PiecePurpose": "apps.pieces.states.PiecePurpose.values",
        "PieceState": "apps.pieces.states.PieceState.values",
        "PlanSource": "apps.sectors.services.plans.SOURCES",
        "ProvenBy": "apps.miners.states.ProvenBy.values",
        "ReachState": "apps.api.v1.miner_addresses.REACH_STATES",
        "ReservationState": "apps.sectors.states.ReservationState.values",
        "RoleKind": "apps.miners.states.RoleKind.values",
        "RoleState": "apps.miners.states.RoleState.values",
        "RoundOutcome": "apps.blocks.states.RoundState.values",
        "RunKind": "poolsite.wire.jobs.RUN_KINDS",
        "RunState": "poolsite.wire.pipeline.RUN_STATES",
        "SectorFileKind": "apps.api.v1.sector_places.FILE_KINDS",
        "SectorStage": "poolsite.wire.pipeline.SECTOR_STAGES",
        "SectorState": "poolsite.wire.pipeline.SECTOR_STATES",
        "SenderState": "apps.messages.states.SenderState.values",
        # of scans, too, whose states are the same: the schema has one name for one set
        "StoreCheckState": "apps.sectors.states.StoreCheckState.values",
        "StoreCondition": "poolsite.wire.stores.StoreCondition",
        "TargetHold": "apps.sectors.states.Hold.values",
        "TargetResult": "apps.api.v1.service_levels.RESULTS",
        "TokenLevel": "apps.users.states.Perm.values",
        "TokenScope": "apps.api.v1.tokens.SCOPES",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.api.schema_hooks.refusals_add",
        "apps.api.schema_hooks.tags_describe",
        "apps.api.schema_hooks.integers_widen",
        "apps.api.schema_hooks.parameter_enums_name",
    ],
}

DEVNET_LISTEN = env_text("DEVNET_LISTEN", "127.0.0.1:1234")
"""Where the embedded chain answers."""
CHAIN_URLS = env_list("CHAIN_URLS", f"http://{DEVNET_LISTEN}/rpc/v1")
"""Nodes as lotus API strings: `token:url`, `url`, or a multiaddress; the first healthy one is used."""
NETWORK_PARAMS = env_object("NETWORK_PARAMS")
"""What the node of a network without a row does not tell, with the members of StateGetNetworkParams."""
HEAD_STEPS = "poolsite.head_steps.HEAD_STEPS"
HEAD_FACTS = "poolsite.head_steps.HEAD_FACTS"
"""Where the follower finds what it enqueues on each head; the apps may not import it themselves."""
NETWORK = env_text("POOLSITE_NETWORK", "demo")
"""Row of the network table that the embedded chain is started with: demo, test or lotus-2k."""
SERVER_TIMING = env_flag("SERVER_TIMING")
"""Whether answers say how long they took here and with how many queries; `make bench` asks for it."""
globals().update(email_from_url(env_text("EMAIL_URL", "")))
ALERTS_PING_URL = env_url("ALERTS_PING_URL")
"""Dead-man's switch: called about once a minute while alerts are evaluated and sent."""
ALERT_URLS_PRIVATE = env_flag("ALERT_URLS_PRIVATE")
"""Whether webhooks of tenants may be in private networks; a tenant could look around there."""
FIL_PRICES = env_source("FIL_PRICES")
"""File or URL with what a FIL was worth on each day; empty: amounts are in FIL alone."""
FIL_PRICES_CURRENCY = env_currency("FIL_PRICES_CURRENCY")
BACKUP_WITHIN_H = env_number("BACKUP_WITHIN_H", 48)
"""Hours after which the last `make backup` is too old; 0: another program takes backups."""
EVENTS_KEPT_MONTHS = env_months("EVENTS_KEPT_MONTHS", least=6)
"""For how many whole months steps of jobs and lines of messages' timelines are kept; 0: for ever."""
MESSAGES_ARCHIVED_MONTHS = env_months("MESSAGES_ARCHIVED_MONTHS", least=3)
"""After how many months of 31 days a message that landed is moved into the archive; 0: never."""
PORT = env_number("PORT", 8000)
"""The console's own."""
ADDRESS_TOKENS = env_list("ADDRESS_TOKENS")
"""`address=file` words: requests from there on a port of old programs that bring no token have the file's."""
FORWARDED_ALLOW_IPS = env_list("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
"""Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; uvicorn's own word and default."""
METRICS_TOKEN = env_text("METRICS_TOKEN", "")
"""Bearer token for /metrics; without one only this machine may read them."""
METRICS_OBJECTS = env_number("METRICS_OBJECTS", 100, most=5_000)
"""How many miners, senders, wallets and hosts `/metrics` names each; the rest of each is one sum."""
READY_PROCESSES = env_list("READY_PROCESSES")
"""Processes without which /readyz says no; the supervisor names its own."""
EMBEDDED = False
CONSOLE_URL = env_text("POOLSITE_URL", "").rstrip("/")
"""How people reach the console; without it notifications name its pages without a host."""
SOURCE_URL = env_text("SOURCE_URL", "") or origin_of(BASE_DIR)
"""Where other hosts clone Poolsite from; by default the origin of this clone."""

OIDC_ISSUER = env_issuer("OIDC_ISSUER")
"""URL of the company's identity provider; empty: people sign in with names and passwords alone."""
OIDC_CLIENT_ID = env_text("OIDC_CLIENT_ID", "")
OIDC_CLIENT_SECRET_FILE = env_text("OIDC_CLIENT_SECRET_FILE", "")
"""Looked at when somebody signs in: a file that is gone must not keep the follower from starting."""
OIDC_GROUPS = env_groups("OIDC_GROUPS")
"""Roles of the company's groups: `{"admins": "OPERATOR", "acme": "TENANT_ADMIN acme"}`."""
together(
    {
        "OIDC_ISSUER": OIDC_ISSUER,
        "OIDC_CLIENT_ID": OIDC_CLIENT_ID,
        "OIDC_CLIENT_SECRET_FILE": OIDC_CLIENT_SECRET_FILE,
        "OIDC_GROUPS": OIDC_GROUPS,
    }
)
OIDC_NAME = env_text("OIDC_NAME", "SSO")
"""The provider's name on pages."""
OIDC_SCOPE = env_text("OIDC_SCOPE", "openid profile groups")
OIDC_GROUPS_CLAIM = env_text("OIDC_GROUPS_CLAIM", "groups")
OIDC_SESSION_H = env_number("OIDC_SESSION_H", 12, least=1, most=336)
"""Hours after which whoever signed in through the provider has to do so again, groups read anew."""

LOGGING = logging_for(level=env_level("LOG_LEVEL"), process=PROCESS_NAME)
