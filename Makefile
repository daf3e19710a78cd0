# The pool's commands.  Everything is kept in .venv/ (programs) and var/ (state); POOLSITE_VAR moves the latter.
.DEFAULT_GOAL := help
.PHONY: help up console servers params test quick peers real-chain migrate lint format bench bench-rust gpu texts docs reset backup restore takeover worker worker-environment prover signer soak week screens environment test-environment browser
MAKEFLAGS += --no-print-directory
VENV := .venv/bin/python
STORE ?= var/store
KEYS ?= var/own-signer
# A host joins by the token in JOIN_TOKEN_FILE, once; afterwards it has a token of its own.  (TOKEN=text does
# the same, but everybody on the machine sees it, and the shell keeps it.)
SIZE = $(if $(SECTOR_SIZE),--sector-size "$(SECTOR_SIZE)")
# The form of the proofs (docs/snark.md).
FORM = $(if $(SNARK),--snark "$(SNARK)")
# The machine's name by which roles are given, where it is not its own.
HOST_NAME = $(if $(HOST),--host "$(HOST)")
SECRET = $(if $(JOIN_TOKEN_FILE),--join-token-file "$(JOIN_TOKEN_FILE)",$(if $(TOKEN),--token "$(TOKEN)",$(if $(TOKEN_FILE),--token-file "$(TOKEN_FILE)")))

help:
	@echo "make up      start the pool; Ctrl-C stops it (DEMO=1: a made-up one to look at, in an empty folder)"
	@echo "make console JOIN=url JOIN_TOKEN_FILE=path  add this machine to a running pool (page Consoles, Add a console), and start its console again"
	@echo "make servers  move a stopped pool from its embedded PostgreSQL and Redis to those of DATABASE_URL and REDIS_URL"
	@echo "make test    run the tests (installs everything they need)"
	@echo "make quick   run the unit tests that need neither a chain nor a browser"
	@echo "make peers [PROGRAMS=folder]  run third-party programs against the pool: from the registries (needs Go and Node.js), and built ones"
	@echo "make real-chain NODE=url TOKEN_FILE=path [CONTROL=url] [LOTUS=folder]  run a pool on a real lotus node: messages, sectors, data, proofs, blocks, moving a cluster (docs/real-chain.md)"
	@echo "make lint    check style, types, import contracts, words and kernels"
	@echo "make format  format Python files and templates"
	@echo "make texts   write the texts that are marked for translation into the catalogue, poolsite/locale/zh_Hans"
	@echo "make docs    write the pages of docs/ that are made from code"
	@echo "make bench   run the benchmarks against the peers' figures; fails if a limit is missed"
	@echo "make bench-rust  build rust-fil-proofs (needs cargo) and compare it with our kernels"
	@echo "make gpu     compile the kernels of NVIDIA cards (no card needed), bound their registers; on a machine with a card, compare and time them"
	@echo "make worker  run a sealing host for a console elsewhere (CONSOLE=url JOIN_TOKEN_FILE=path [STORE=folder] [DIR=folder] [HOST=name] [SECTOR_SIZE=32GiB] [SNARK=groth16] [GPU=1]; see Hosts, Join a host)"
	@echo "make prover  run a prover for a console elsewhere (same variables)"
	@echo "make signer  create keys and run a signer for a console elsewhere (CONSOLE=url TOKEN_FILE=path [KEYS=folder])"
	@echo "make soak    run the long tests: kills at every point, a week of injected failures, bare environments"
	@echo "make week    run only the week of injected failures (28 min; POOLSITE_SOAK_MINERS=5 _SECTORS=40 _PERIODS=7 _NETWORK=soak)"
	@echo "make screens take screenshots of the running demo's pages (make up DEMO=1) into var/screens/, and those for the docs into docs/screens/"
	@echo "make params  generate the small chain's PoRep and update parameters (1.8 GB, many minutes) to make both Groth16"
	@echo "make backup TO=folder [KEEP=number]  back up the running pool's database, session key and tokens into a new folder there"
	@echo "make restore FROM=folder  load such a backup into the stopped pool, after confirmation"
	@echo "make migrate bring the database to this version while consoles of older versions work (docs/operations/upgrade.md)"
	@echo "make takeover  give this folder the tokens and the operator's password of a database whose folder was lost, after confirmation"
	@echo "make reset   remove the pool's state, after confirmation"

environment:
	@python=$$(sh .ci/python) && "$$python" .ci/environment.py .venv requirements.txt

test-environment:
	@python=$$(sh .ci/python) && "$$python" .ci/environment.py .venv tests/requirements.txt

browser: test-environment
	@$(VENV) -m tests.browser.chrome

up: environment
	@$(VENV) -m poolsite.embedded

# By exec, as below.  The token is in a file, in JOIN_TOKEN or typed: everybody sees a command line.
console: environment
	@exec $(VENV) -m poolsite.embedded.console $(if $(JOIN),--join "$(JOIN)") $(if $(JOIN_TOKEN_FILE),--join-token-file "$(JOIN_TOKEN_FILE)")

servers: environment
	@$(VENV) -m poolsite.embedded.servers

lint: test-environment
	@$(VENV) -m ruff check .
	@$(VENV) -m ruff format --check .
	@.venv/bin/djangofmt --check templates
	@.venv/bin/djangofmt check templates
	@$(VENV) -m mypy
	@.venv/bin/lint-imports
	@$(VENV) -m pytest -q -p no:cacheprovider tests/unit/house/test_templates.py tests/unit/house/test_retired_words.py tests/unit/house/test_kernels.py tests/unit/house/test_migrations.py

format: test-environment
	@$(VENV) -m ruff format .
	@.venv/bin/djangofmt templates

# WORKERS side by side; four by default, as the tests of whole pools and browsers wait for half of their time.
test: test-environment browser
	@sh .ci/tests

texts: test-environment
	@$(VENV) manage.py makemessages

docs: test-environment
	@$(VENV) -m tests.reference_pages

# What needs no devnet, no kernel, no clock and no seconds; WORKERS as above.
quick: test-environment
	@$(VENV) -m pytest -n "$${WORKERS:-2}" -m "not slow and not timing and not long" --durations 5 --durations-min 0.7 tests/unit/apps tests/unit/house tests/unit/settings tests/unit/wire tests/unit/workers/signer tests/unit/workers/console tests/unit/workers/storage

peers: test-environment
	@POOLSITE_PEER_PROGRAMS="$(or $(PROGRAMS),$(POOLSITE_PEER_PROGRAMS))" $(VENV) -m pytest -m "peer" tests/peers

# TESTS names some of its files.
real-chain: test-environment
	@{ [ -n "$(NODE)" ] && [ -n "$(TOKEN_FILE)" ]; } || [ -n "$(LOTUS)" ] || { echo "make real-chain needs NODE=url, the JSON-RPC of a real node, and TOKEN_FILE=path, its admin token; or LOTUS=folder with the lotus programs (docs/real-chain.md)" >&2; exit 2; }
	@REAL_CHAIN_NODE="$(NODE)" REAL_CHAIN_TOKEN_FILE="$(TOKEN_FILE)" REAL_CHAIN_CONTROL="$(CONTROL)" REAL_CHAIN_LOTUS="$(LOTUS)" $(VENV) -m pytest -s -p no:randomly -m "peer" $(or $(TESTS),$(if $(NODE),tests/real_chain $(if $(LOTUS),,--ignore=tests/real_chain/test_cluster.py --ignore=tests/real_chain/test_lotus_miner.py),tests/real_chain/test_cluster.py))

bench: test-environment
	@$(VENV) -m tests.bench

bench-rust: test-environment
	@code=0; $(VENV) -m tests.bench.rust_proofs || code=1; \
	$(VENV) -m tests.bench.rust_sector 512MiB || code=1; \
	$(VENV) -m tests.bench.rust_snark || code=1; \
	$(VENV) -m tests.bench.rust_groth16 || code=1; \
	$(VENV) -m tests.bench.rust_processor || code=1; exit $$code

# In an environment of its own: compiler and assembler take a gigabyte.
gpu:
	@python=$$(sh .ci/python) && "$$python" .ci/environment.py .venv-gpu tests/bench/requirements-gpu.txt
	@.venv-gpu/bin/python -m tests.bench.gpu

soak: test-environment browser
	@$(VENV) -m pytest -m "slow"
	@$(VENV) -m tests.last_soak

# Words as POOLSITE_SOAK_PERIODS=2 on make's command line reach it by the environment.
week: test-environment
	@$(VENV) -m pytest -s tests/acceptance/test_soak.py::test_a_week_of_accidents_costs_no_window_and_no_win

screens: test-environment browser
	@$(VENV) -m tests.browser.screens

# A part of the pool for a console elsewhere needs nothing but these packages and the console's port.
NEEDS = JOIN_TOKEN_FILE=path or TOKEN_FILE=path; also STORE=folder if the store is not var/store
signer: NEEDS = TOKEN_FILE=path; also KEYS=folder if the keys are not in var/own-signer, LISTEN=host:port, LOCKED=1
signer: MISSING = $(if $(TOKEN_FILE),,TOKEN_FILE)

worker-environment:
	@if [ -z "$(CONSOLE)" ] || [ -n "$(MISSING)" ]; then \
		echo "make $(MAKECMDGOALS) needs CONSOLE=https://... and $(NEEDS)" >&2; exit 2; fi
	@python=$$(sh .ci/python) && "$$python" .ci/environment.py .venv-worker workers/$(if $(GPU),requirements-gpu.txt,requirements.txt)

# By exec, so that what ends make ends the program, not a shell in between.
worker: worker-environment
	@exec .venv-worker/bin/python -m workers sealer --dir "$(or $(DIR),var/sealer)" --store "$(STORE)" --console "$(CONSOLE)" $(SIZE) $(FORM) $(HOST_NAME) $(SECRET)

prover: worker-environment
	@exec .venv-worker/bin/python -m workers prover --dir "$(or $(DIR),var/prover)" --store "$(STORE)" --console "$(CONSOLE)" $(SIZE) $(FORM) $(HOST_NAME) $(SECRET)

signer: worker-environment
	@.venv-worker/bin/python -m workers signer init --dir "$(KEYS)"
	@exec .venv-worker/bin/python -m workers signer run --dir "$(KEYS)" --console "$(CONSOLE)" --token-file "$(TOKEN_FILE)" $(if $(LISTEN),--listen "$(LISTEN)") $(if $(LOCKED),--locked)

# Parameters from a known seed: for the small chain alone, and marked so.
params: environment
	@$(VENV) -m workers params prepare porep --size "$(or $(SECTOR_SIZE),2KiB)" --seed poolsite-devnet
	@$(VENV) -m workers params prepare update --size "$(or $(SECTOR_SIZE),2KiB)" --seed poolsite-devnet

backup: environment
	@[ -n "$(TO)" ] || { echo "make backup needs TO=folder, on another disk than var; KEEP=number removes older ones there" >&2; exit 2; }
	@$(VENV) -m poolsite.embedded.backup "$(TO)" $(if $(KEEP),--keep "$(KEEP)")

restore: environment
	@[ -n "$(FROM)" ] || { echo "make restore needs FROM=folder, one that make backup wrote" >&2; exit 2; }
	@$(VENV) -m poolsite.embedded.restore "$(FROM)"

migrate: environment
	@$(VENV) -m poolsite.embedded.migration

takeover: environment
	@$(VENV) -m poolsite.embedded.takeover

reset: environment
	@$(VENV) -m poolsite.embedded.reset
