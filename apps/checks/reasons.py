"""Reasons of findings, and of notifications that a channel did not take."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import ngettext_noop, reason

# Deliveries
TOO_OLD = reason("checks.too_old", gettext_noop("not sent within 24 hours"))
SEE_LOG = reason("checks.see_log", gettext_noop("{error}: see the log"))
KEY_CHANGED = reason(
    "checks.key_changed", gettext_noop("SECRET_KEY has changed: remove the channel and add it again")
)
STATUS = reason("checks.status", gettext_noop("HTTP status {status}"))
STATUS_SAID = reason("checks.status_said", gettext_noop("HTTP status {status}: {error}"))
NO_RESPONSE = reason("checks.no_response", gettext_noop("no response: {error}"))
MAIL_ERROR = reason("checks.mail_error", gettext_noop("mail server error: {error}"))
NOT_PUBLIC = reason("checks.not_public", gettext_noop("its host has no public address"))
UNEXPECTED = reason("checks.unexpected", gettext_noop("unexpected response"))
PUSH_ENDED = reason("checks.push_ended", gettext_noop("its sending process ended with status {status}"))
PUSH_REFUSED = reason("checks.push_refused", gettext_noop("not allowed to its sending process: {what}"))
REFUSED = reason("checks.refused", gettext_noop("refused: {reason}"))

# Words of several
AT_LEAST = reason("checks.at_least", gettext_noop("at least {many}"))
IS = reason("checks.is", "{name} {what}")
OF_MINER = reason("checks.of_miner", "{say} ({miner})")
REPEATED = reason("checks.repeated", "{say} (× {count})")
UNTIL_CLOSES = reason("checks.until_closes", gettext_noop("until a window closes"))
UNTIL_EXPIRES = reason("checks.until_expires", gettext_noop("until it expires"))
UNTIL_FIRST_EXPIRES = reason("checks.until_first_expires", gettext_noop("until the first expires"))
NO_REASON = reason("checks.no_reason", gettext_noop("no reason given"))
A_HOST = reason("checks.a_host", gettext_noop("a host"))
THE_POOL = reason("checks.the_pool", gettext_noop("the pool"))

# Allocations and deals
ALLOCATIONS_EXPIRE = reason(
    "checks.allocations_expire", *ngettext_noop("{many} expires within 7 d", "{many} expire within 7 d")
)
ALLOCATION_MISSING = reason(
    "checks.allocation_missing",
    gettext_noop(
        "{miner}: {size} of f0{client} are not here; take the data, seal them before the end, or have "
        "the client allocate anew"
    ),
)
ALLOCATION = reason("checks.allocation", gettext_noop("allocation {number}"))
DEALS_DUE = reason("checks.deals_due", gettext_noop("{deals} of {miner} due within 24 h"))
DEALS_AWAIT = reason(
    "checks.deals_await",
    gettext_noop("data or a published message are awaited; after its start epoch a deal fails"),
)
DEALS_SEALED_LATE = reason(
    "checks.deals_sealed_late", gettext_noop("{deals} of {miner} will be sealed after the start")
)
DEALS_COLLATERAL = reason(
    "checks.deals_collateral",
    gettext_noop(
        "a published one starts at epoch {start}, and by the times of this farm cannot be active before "
        "{expected}: then its collateral burns. Give its sector priority, or add hosts"
    ),
)
UNTIL_START = reason("checks.until_start", gettext_noop("until the first start epoch"))
DOOR_DOWN = reason("checks.door_down", gettext_noop("the door of {miner} does not answer"))
INDEX_WRONG = reason(
    "checks.index_wrong", gettext_noop("blocks of piece {piece} of {miner} cannot be retrieved")
)
INDEX_AGAIN = reason(
    "checks.index_again", gettext_noop("index it again; if that finds damage, unseal it again")
)

# Blocks
ORPHANED = reason("checks.orphaned", gettext_noop("the chain continued without it"))
ROUND_WAS = reason("checks.round_was", gettext_noop("epoch {epoch}, sector {sector}: {outcome}"))
WINS_WORTH = reason("checks.wins_worth", gettext_noop("{missing} FIL lost in 24 h"))
WINS_EXPECTED = reason("checks.wins_expected", gettext_noop("; {wins:.2f} wins expected per day"))
WINS_LOST = reason("checks.wins_lost", gettext_noop("{wins} of {group} lost"))
BLOCKS_FOREIGN = reason("checks.blocks_foreign", gettext_noop("another program makes blocks for {group}"))
BLOCK_FOREIGN = reason(
    "checks.block_foreign",
    gettext_noop(
        "the block of epoch {epoch} is not the pool's: stop that program, or mining here; if both make "
        "a block of one epoch, the miner is slashed"
    ),
)
BLOCKS_UNSTARTED = reason("checks.blocks_unstarted", gettext_noop("nobody makes blocks for {group}"))
BLOCKS_STOPPED = reason(
    "checks.blocks_stopped",
    gettext_noop(
        "setting its height, {height}, stopped its block production: start it again, once the other "
        "program is stopped for good"
    ),
)
ROUNDS_NOT_RUN = reason("checks.rounds_not_run", gettext_noop("{rounds} of {names} could not be run"))
ROUND_NOT_RUN = reason("checks.round_not_run", gettext_noop("epoch {epoch}: {outcome}: {reason}"))
ROUNDS_NOT_BEGUN = reason("checks.rounds_not_begun", gettext_noop("no rounds run for {group}"))
NO_BLOCK_WON = reason(
    "checks.no_block_won",
    gettext_noop("no block can be won: check that the blocks process runs and a node is in sync{expected}"),
)
WINS_FEW = reason("checks.wins_few", gettext_noop("improbably few wins for {group}"))
WINS_IMPROBABLE = reason(
    "checks.wins_improbable",
    gettext_noop(
        "{wins} since {since} where {expected:.1f} were expected: the probability of that is 1 in {odds:,.0f}"
    ),
)
F3_UNVOTED = reason("checks.f3_unvoted", gettext_noop("no node votes for {group} in F3"))
F3_RENEWAL_FAILS = reason(
    "checks.f3_renewal_fails", gettext_noop("lease renewal has been failing for {ago}: {reason}")
)

# The chain and its nodes
CHAIN_STALLED = reason("checks.chain_stalled", gettext_noop("the chain has not advanced for {age_s}"))
HEAD_OLD = reason("checks.head_old", gettext_noop("the newest head is {old_s} old"))
HEAD_OLD_CAUSE = reason(
    "checks.head_old_cause",
    gettext_noop(
        "our nodes are catching up, or this machine's clock is ahead: windows are not proven in time"
    ),
)
FOLLOWER_SILENT = reason(
    "checks.follower_silent",
    gettext_noop(
        "the follower, which reads the nodes' heads, is silent: end that process so that it is started "
        "again, and look in its log"
    ),
)
FOLLOWER_DOWN = reason(
    "checks.follower_down",
    gettext_noop(
        "the follower, which reads the nodes' heads, is down: it is started again by itself, and the "
        "end of follower.log says why it ends"
    ),
)
NODES_STALLED = reason(
    "checks.nodes_stalled",
    gettext_noop(
        "if only our nodes have stalled, windows close without our proofs: check them, or add a node"
    ),
)
HEAD_LATE = reason("checks.head_late", gettext_noop("no new head for {age_s}"))
NULL_ROUNDS = reason("checks.null_rounds", gettext_noop("four epochs in a row without a block are rare"))
HEAD_LATE_CAUSE = reason(
    "checks.head_late_cause", gettext_noop("our nodes are catching up, or this machine's clock is ahead")
)
NETWORK_UNKNOWN = reason(
    "checks.network_unknown", gettext_noop("the network parameters of node {node} are unknown")
)
NETWORK_UNBOUND = reason(
    "checks.network_unbound", gettext_noop("the pool is not bound to its network: {error}")
)
NODE_FOREIGN = reason("checks.node_foreign", gettext_noop("node {group} is on another network"))
NODES_FOREIGN = reason("checks.nodes_foreign", gettext_noop("{group} more nodes are on another network"))
NODE_FOREIGN_CAUSE = reason(
    "checks.node_foreign_cause", gettext_noop("{error}: restart it on the pool's network, or disable it")
)
OPERATOR_FIXES = reason("checks.operator_fixes", gettext_noop("the operator has to fix this"))
NODES_UNREADABLE = reason("checks.nodes_unreadable", gettext_noop("no node can be read"))
NOTHING_SENT = reason("checks.nothing_sent", gettext_noop("nothing is sent or proven until one answers"))
NODES_COUNTED = reason("checks.nodes_counted", gettext_noop("{words}; {well} of {nodes} healthy"))
NODES_AWAY = reason("checks.nodes_away", gettext_noop("{nodes} unhealthy"))
NODE_FORKED = reason("checks.node_forked", gettext_noop("node {node} is on another branch of the chain"))
NODES_FORKED = reason(
    "checks.nodes_forked", gettext_noop("{count} more nodes are on another branch of the chain")
)
NODE_FORKED_CAUSE = reason(
    "checks.node_forked_cause",
    gettext_noop(
        "it is not read: the pool follows another branch, the heaviest of its nodes' if that is "
        "clearly heavier. Compare with a block explorer, and upgrade, resync or disable the wrong node"
    ),
)
UPGRADE_IN = reason("checks.upgrade_in", gettext_noop("upgrade {title} in {left}"))
NODE_UNREADY = reason("checks.node_unready", gettext_noop("node {node} is not ready for {when}: {reason}"))
NODES_UNREADY = reason("checks.nodes_unready", gettext_noop("{group} more nodes are not ready for {when}"))
NODE_UNREADY_CAUSE = reason(
    "checks.node_unready_cause",
    gettext_noop("it would fall off the chain at the upgrade: install a newer release"),
)
UNTIL_UPGRADE = reason("checks.until_upgrade", gettext_noop("until the upgrade"))
F3_BEHIND = reason("checks.f3_behind", gettext_noop("F3 is {epochs} behind"))
F3_NEWEST = reason(
    "checks.f3_newest",
    gettext_noop(
        "the newest certificate on any node is for epoch {newest}; block production is not affected"
    ),
)

# The console
CLOCK_AHEAD = reason("checks.clock_ahead", gettext_noop("this machine's clock may be {late:.0f} s ahead"))
CLOCK_AHEAD_CAUSE = reason(
    "checks.clock_ahead_cause",
    gettext_noop(
        "each of the last {count} heads arrived at least that long after its timestamp: sync the clock "
        "with NTP, or find out why blocks reach the nodes late; our own would be sent too early"
    ),
)
CLOCK_BEHIND = reason("checks.clock_behind", gettext_noop("this machine's clock is {early:.1f} s behind"))
CLOCK_BEHIND_CAUSE = reason(
    "checks.clock_behind_cause",
    gettext_noop(
        "head {height} arrived before its timestamp; nodes accept blocks at most 1 s early, and our "
        "own are sent too late to get on chain: sync the clock with NTP"
    ),
)
PROCESS_SILENT = reason("checks.process_silent", gettext_noop("{name} silent"))
PROCESS_DOWN = reason("checks.process_down", gettext_noop("{name} down"))
PROCESSES = reason("checks.processes", *ngettext_noop("{count} process", "{count} processes"))
PROCESSES_DOWN = reason("checks.processes_down", gettext_noop("{names}: {ill} of {processes} not running"))
PROCESSES_DOWN_CAUSE = reason(
    "checks.processes_down_cause",
    gettext_noop("one that is down is started again, and its log says why it ends; end one that is silent"),
)
PROCESS_RESTARTED = reason("checks.process_restarted", gettext_noop("{name} restarted {times}"))
PROCESSES_RESTARTED = reason("checks.processes_restarted", gettext_noop("{restarts} within the last hour"))
PROCESSES_LOGS = reason(
    "checks.processes_logs", gettext_noop("each ended by itself; the end of {log} says why")
)
CHECKS_NEVER = reason("checks.checks_never", gettext_noop("the checks have not been evaluated yet"))
CHECKS_NEVER_CAUSE = reason(
    "checks.checks_never_cause",
    gettext_noop(
        "the pool evaluates them every 15 s, first when a page asks; if none comes, see whether Redis "
        "and tasks-slow run, and its log (alerts.run)"
    ),
)
CHECKS_LATE = reason("checks.checks_late", gettext_noop("the checks were last evaluated {age} ago"))
CHECKS_LATE_CAUSE = reason(
    "checks.checks_late_cause",
    gettext_noop("what is shown is of then: see whether tasks-slow runs, and its log (alerts.run)"),
)
CHANNELS_AWAY = reason("checks.channels_away", gettext_noop("{channels} cannot be reached"))
CHANNELS_UNTOLD = reason("checks.channels_untold", gettext_noop("{names}: notifications are not delivered"))
ALERTS_LATE = reason("checks.alerts_late", gettext_noop("alerts were last evaluated {age} ago"))
ALERTS_LATE_CAUSE = reason(
    "checks.alerts_late_cause",
    gettext_noop("nobody is notified of anything: see whether tasks-slow runs, and its log (alerts.run)"),
)
PING_FAILED = reason(
    "checks.ping_failed", gettext_noop("the dead-man's switch has not been reached for {age}")
)
PING_SAID = reason("checks.ping_said", gettext_noop("ALERTS_PING_URL: {reason}"))
DISK_FULL = reason("checks.disk_full", gettext_noop("the disk of {place} is full"))
DATABASE_SLOW = reason(
    "checks.database_slow",
    gettext_noop("the database takes {ms} ms for a trivial statement, for {span}"),
)
DATABASE_SLOW_CAUSE = reason(
    "checks.database_slow_cause",
    gettext_noop("look at the load, the disk and the network of its machine; give it more, or move it"),
)
DATABASE_LOCKED = reason(
    "checks.database_locked",
    gettext_noop("sessions of the database wait {locks} for a lock, for {span}"),
)
DATABASE_LOCKED_CAUSE = reason(
    "checks.database_locked_cause",
    gettext_noop("pg_stat_activity names who holds it; end a session that is none of the console's"),
)
DISK_NEARLY_FULL = reason("checks.disk_nearly_full", gettext_noop("the disk of {place} is nearly full"))
DISK_LASTS = reason(
    "checks.disk_lasts", gettext_noop("at the rate of the last {span} it lasts {hours:.1f} h")
)
DISK_LASTS_UNKNOWN = reason("checks.disk_lasts_unknown", gettext_noop("how long it lasts is known in {left}"))
CONSOLE_FULL = reason("checks.console_full", gettext_noop("the console's disk is full"))
CONSOLE_NEARLY_FULL = reason("checks.console_nearly_full", gettext_noop("the console's disk is nearly full"))
DISK_LEFT = reason(
    "checks.disk_left", gettext_noop("{left} MiB free, {share:.0%} of it: free up space there")
)
UNSHARED = reason(
    "checks.unshared", gettext_noop("{machine} does not read what {others} wrote into {setting}")
)
UNSHARED_CAUSE = reason(
    "checks.unshared_cause", gettext_noop("mount the same folder on every console machine")
)
UNREAD = reason("checks.unread", gettext_noop("{machine} has not read the shared folders for {age}"))
UNREAD_CAUSE = reason(
    "checks.unread_cause",
    gettext_noop("PIECES_DIR or C1_DIR hangs there: see whether its file server answers"),
)
BACKUP_ADVICE = reason(
    "checks.backup_advice",
    gettext_noop(
        "set up `make backup TO=folder` as a daily job, to another disk (docs/operations.md); if "
        "another program backs up the database, set BACKUP_WITHIN_H=0"
    ),
)
BACKUP_NEVER = reason("checks.backup_never", gettext_noop("the database has never been backed up"))
BACKUP_OLD = reason("checks.backup_old", gettext_noop("the last backup is {age} old"))
CODES_WRONG = reason(
    "checks.codes_wrong", gettext_noop("{count} wrong codes entered for {name} after the right password")
)
CODES_FROM = reason(
    "checks.codes_from",
    gettext_noop(
        "from {sources}, in the last 24 h: unless it was {name}, somebody else knows the password; "
        "change it, and end the sessions"
    ),
)
CHECK_BROKEN = reason("checks.check_broken", gettext_noop("the check “{title}” could not be run"))
CHECK_BROKEN_CAUSE = reason(
    "checks.check_broken_cause",
    gettext_noop("whether it passes is unknown; the log has the error (check_broken): report it"),
)

# Faults and windows
STAYS_FAULTY = reason(
    "checks.stays_faulty", gettext_noop("{sectors} stay faulty for one more proving period")
)
UNDECLARED = reason(
    "checks.undeclared", gettext_noop("{sectors} with bad files not declared faulty, left out of the proof")
)
CUTOFF_WAS = reason(
    "checks.cutoff_was", gettext_noop("deadline {index}: {words}; can be declared once it closes, in {left}")
)
CUTOFFS_MISSED = reason("checks.cutoffs_missed", gettext_noop("{declarations} of {group} missed the cutoff"))
TERMINATIONS = reason("checks.terminations", gettext_noop("{sectors} of {group} about to be terminated"))
FAULT_OLD = reason(
    "checks.fault_old",
    gettext_noop(
        "sector {number}, deadline {index}: faulty since epoch {since}; restore its files or rebuild "
        "it, otherwise a termination fee is charged and its power is lost for good"
    ),
)
UNTIL_TERMINATED = reason("checks.until_terminated", gettext_noop("until it is terminated"))
UNTIL_FIRST_TERMINATED = reason(
    "checks.until_first_terminated", gettext_noop("until the first is terminated")
)
FAULTS = reason("checks.faults", gettext_noop("{sectors} of {group} faulty"))
TO_DECLARE = reason("checks.to_declare", gettext_noop("to declare recovery"))
DECLARED = reason("checks.declared", gettext_noop("{declared} declared recovered"))
CHECKED_BEFORE = reason(
    "checks.checked_before", gettext_noop("files are checked before recovery is declared")
)
FAULTY_SINCE = reason("checks.faulty_since", gettext_noop("faulty since epoch {first}"))
TERMINATED_IN = reason("checks.terminated_in", gettext_noop("the chain terminates them in {ended}"))
DAYS = reason("checks.days", gettext_noop("{days:.0f} d"))
HOURS = reason("checks.hours", gettext_noop("{hours:.1f} h"))
RECOVERIES_CAPPED = reason(
    "checks.recoveries_capped", gettext_noop("{miner} needs {takes} to recover its faulty sectors")
)
RECOVERIES_MOST = reason(
    "checks.recoveries_most",
    gettext_noop(
        "deadline {indexes}: {count} faulty, but at most {most} per deadline are declared recovered in "
        "one window; raise the limit if the files are available"
    ),
)
FILES_BAD = reason("checks.files_bad", gettext_noop("{sectors} of {group} with missing or damaged files"))
FILES_AT = reason("checks.files_at", gettext_noop("sector {number} on {host}, {path}"))
UNTIL_DECLARED = reason("checks.until_declared", gettext_noop("until they are declared faulty"))
DISPUTES_LOST = reason("checks.disputes_lost", gettext_noop("{proofs} of {miner} lost a dispute"))
DISPUTE_COSTS = reason(
    "checks.dispute_costs",
    gettext_noop(
        "deadline {indexes}: a penalty of 20 FIL or more was charged and the sectors are faulty; a "
        "host produces invalid proofs"
    ),
)
UNTIL_PROOF = reason("checks.until_proof", gettext_noop("until the next proof"))
WINDOW_OF = reason("checks.window_of", gettext_noop("deadline {index} of {miner}"))
WINDOWS_MISSED = reason("checks.windows_missed", gettext_noop("{deadlines} of {group} missed"))
WINDOWS_AT_RISK = reason("checks.windows_at_risk", gettext_noop("{deadlines} of {group} at risk"))
UNTIL_IT_CLOSES = reason("checks.until_it_closes", gettext_noop("until it closes"))

# Hosts
HOSTS_AWAY = reason("checks.hosts_away", gettext_noop("{away} offline"))
LAST_SEEN = reason("checks.last_seen", gettext_noop("last seen {silent} ago; {count}"))
C2_LONE = reason(
    "checks.c2_lone",
    gettext_noop("no other host has a slot for C2: restart {lone}, or give another host one"),
)
PROVER_LONE = reason("checks.prover_lone", gettext_noop("no window is proven without {lone}: restart it"))
NOTHING_BOUND = reason(
    "checks.nothing_bound", gettext_noop("no sector depends on it; its other jobs go to other hosts")
)
DEPOSITS_PAID = reason("checks.deposits_paid", gettext_noop(", {paid} with a deposit on chain"))
SECTORS_BOUND = reason(
    "checks.sectors_bound",
    gettext_noop(
        "{sectors} in progress{at_stake}; no other host has the files: restart it, or retire it so "
        "that others start them over"
    ),
)
DISK_SHORT = reason("checks.disk_short", gettext_noop("{short} low on disk space"))
DISK_SHORT_OF = reason(
    "checks.disk_short_of",
    gettext_noop("{worst}: {free} free, {share}; no new sector starts there until space is freed"),
)
FOLDER_AWAY = reason("checks.folder_away", gettext_noop("{worker} cannot read its own folder"))
FOLDER_UNREADABLE = reason(
    "checks.folder_unreadable",
    gettext_noop(
        "{folder} is not readable: no sector starts there, and orders for its stores are not saved; "
        "mount its disk, then restart the host"
    ),
)
ITS_FOLDER = reason("checks.its_folder", gettext_noop("its folder"))
NOTHING_CLAIMED = reason("checks.nothing_claimed", gettext_noop("no new work is claimed until resumed"))
SECTORS_HELD = reason(
    "checks.sectors_held",
    gettext_noop(
        "{why}; {sectors} in progress there: a drained host finishes those that it has labelled, a "
        "paused one holds them"
    ),
)
HOSTS_SLOW = reason("checks.hosts_slow", gettext_noop("{slow} slow"))
HOSTS_SLOW_CAUSE = reason(
    "checks.hosts_slow_cause", gettext_noop("a stage takes at least 1.5 times as long as on the other hosts")
)

# Messages
MESSAGE_OF = reason("checks.message_of", gettext_noop("{message} of {labels}"))
RECOVERY_READS = reason(
    "checks.recovery_reads",
    gettext_noop("the chain is being read from the backup's height on; signing resumes automatically"),
)
RECOVERY_UNKNOWN = reason(
    "checks.recovery_unknown", gettext_noop("{messages} on chain not in the database: identify each one")
)
RECOVERY_HOLDS = reason(
    "checks.recovery_holds",
    gettext_noop("only window proofs are signed: the pool is recovering from a restored backup"),
)
STUCK = reason("checks.stuck", gettext_noop("{messages} stuck: {why}"))
STUCK_MOST = reason("checks.stuck_most", gettext_noop("{messages} stuck, the most urgent: {why}"))
FOR_TIME = reason("checks.for_time", gettext_noop("for {time}"))
NOBODY = reason("checks.nobody", gettext_noop("nobody: invite a second person"))
UNAPPROVED = reason("checks.unapproved", gettext_noop("{many} waiting for approval"))
PUSHED_BY = reason(
    "checks.pushed_by", gettext_noop("{message}, pushed by {pushed_by}; may be approved by: {names}")
)
NONCE_TAKEN = reason(
    "checks.nonce_taken", gettext_noop("{many} not carried out: another message used the nonce")
)
RULE_STOPPED = reason("checks.rule_stopped", gettext_noop("an automatic rule switched itself off"))
RULE_HINDERED = reason("checks.rule_hindered", gettext_noop("an automatic rule cannot do what is due"))
FAILED_LATELY = reason("checks.failed_lately", gettext_noop("{many} failed in the last {failed_hours} h"))
MARKED_FAILED = reason("checks.marked_failed", gettext_noop("marked as failed"))
EXITED = reason("checks.exited", gettext_noop("exit {exit_code}: {meaning}"))
PRICED_OUT = reason("checks.priced_out", gettext_noop("{many} with a fee cap below the base fee"))
FEES_WERE = reason("checks.fees_were", gettext_noop("{message}: fee cap {cap}, base fee {base}"))

# Miners and roles
UNREAD_SINCE = reason("checks.unread_since", gettext_noop("{group} not read since epoch {height}"))
HEADS_ARRIVE = reason("checks.heads_arrive", gettext_noop("heads arrive, but {cause}"))
NOT_TRACKED = reason(
    "checks.not_tracked", gettext_noop("nothing of it is forecast or tracked; the operator has to fix this")
)
TASKS_SILENT = reason(
    "checks.tasks_silent",
    gettext_noop(
        "the process tasks is silent: no message is signed or tracked; end it, and it is started again"
    ),
)
TASKS_DOWN = reason(
    "checks.tasks_down",
    gettext_noop(
        "the process tasks is down: no message is signed or tracked; it is started again by itself, "
        "and the end of tasks.log says why it ends"
    ),
)
STATE_AWAY = reason(
    "checks.state_away",
    gettext_noop("no node has its state, or the task fails: the log of tasks says why (miner_not_refreshed)"),
)
WORKER_PENDING = reason("checks.worker_pending", gettext_noop("worker key change pending for {group}"))
WORKER_CONFIRMED = reason(
    "checks.worker_confirmed",
    gettext_noop(
        "{new_worker} can be confirmed {when} epoch {at}; until it is, the old key signs proofs and "
        "blocks, and blocks for another {lookback} epochs: leave it in the signer"
    ),
)
NOW_SINCE = reason("checks.now_since", gettext_noop("now, since"))
FROM_NOW = reason("checks.from_now", gettext_noop("from"))
DEBT = reason(
    "checks.debt", *ngettext_noop("{group} owes {debt} FIL in fees", "{group} owe {debt} FIL in fees")
)
DEBT_BARS = reason(
    "checks.debt_bars",
    gettext_noop("a miner in debt cannot pre-commit, recover faults or withdraw: send it funds"),
)
MINER_CREATED = reason(
    "checks.miner_created", gettext_noop("a program of {tenant} created {miner}, which is not in the pool")
)
MINER_ADD = reason(
    "checks.miner_add",
    gettext_noop("its signer allows nothing for it: add it, and accept the rule that its page proposes"),
)
MINER_ADD_ASK = reason(
    "checks.miner_add_ask", gettext_noop("its signer allows nothing for it: the operator has to add it")
)
ROLES_UNHELD = reason("checks.roles_unheld", gettext_noop("no host holds {kinds} for {group}"))
ROLES_ASSIGNED = reason(
    "checks.roles_assigned",
    gettext_noop(
        "assigned to {hosts}, no heartbeat{silent}: start its program there, or assign it to another host"
    ),
)
SILENT_FOR = reason("checks.silent_for", gettext_noop(" for {time}"))
MOVES_RESTORED = reason(
    "checks.moves_restored", gettext_noop("confirm who proves {miners} after the restore")
)
MOVES_OF_BACKUP = reason(
    "checks.moves_of_backup",
    gettext_noop(
        "their move heights come from the backup; if one was set since, windows are missed or proven "
        "twice: set it again under Move in… or Move out…, then confirm on the Recovery page"
    ),
)

# Sectors in progress
PAUSED = reason("checks.paused", gettext_noop("{count} paused"))
PLEDGES_HELD = reason(
    "checks.pledges_held", gettext_noop("pledges with an idempotency key are refused after a restore")
)
PLEDGES_LOST = reason(
    "checks.pledges_lost",
    gettext_noop("{sectors} created since the backup by lost pledges: confirm that none is repeated"),
)
SECTORS_READ = reason(
    "checks.sectors_read",
    gettext_noop("sectors are being read back from chain and hosts; sealing resumes automatically"),
)
HOSTS_START = reason(
    "checks.hosts_start",
    gettext_noop("start or retire {hosts}: work it may have begun is not given to another host"),
)
SECTORS_ON_HOLD = reason(
    "checks.sectors_on_hold",
    gettext_noop("sectors are on hold: the pool is recovering from a restored backup"),
)
TARGET_PAUSED = reason("checks.target_paused", gettext_noop("the target of {miner} is paused"))
DEPOSITS_LOST = reason("checks.deposits_lost", gettext_noop("{deposits} will be lost within 48 h"))
UNPROVEN = reason(
    "checks.unproven",
    gettext_noop("{miner} / {number} was pre-committed at epoch {precommit_epoch} and is not proven yet"),
)
UNTIL_DEPOSIT_LOST = reason("checks.until_deposit_lost", gettext_noop("until the deposit is lost"))
TICKETS = reason("checks.tickets", gettext_noop("{tickets} about to expire"))
TICKET_OLD = reason(
    "checks.ticket_old",
    gettext_noop(
        "{miner} / {number} is not pre-committed yet{takes}; if its ticket expires, sealing starts over"
    ),
)
TAKES = reason("checks.takes", gettext_noop(", which takes up to {takes_s} from its stage"))
UNTIL_TICKET = reason("checks.until_ticket", gettext_noop("until the ticket expires"))
SEEDS = reason("checks.seeds", gettext_noop("{sectors} with an unread seed"))
SEED_READY = reason(
    "checks.seed_ready", gettext_noop("{miner} / {number}: seed available since epoch {ready}; {seed_text}")
)
SEED_UNREAD = reason(
    "checks.seed_unread", gettext_noop("the console has not read it: check its nodes and task processes")
)
NO_SLOT = reason(
    "checks.no_slot", gettext_noop("{sectors} waiting for {stage}, for which no host has a slot")
)
HOLDER_LACKS_SLOT = reason(
    "checks.holder_lacks_slot",
    gettext_noop("{hosts} has their files: give it a slot for the stage (its page, Settings)"),
)
HOST_IDLE = reason(
    "checks.host_idle",
    gettext_noop(
        "{hosts} has slots for it, but claims no work: restart or resume it, or give another host a slot"
    ),
)
GIVE_SLOT = reason("checks.give_slot", gettext_noop("give a host a slot for the stage (its page, Settings)"))

# Sectors that end, and what stopped
EXPIRING = reason(
    "checks.expiring", *ngettext_noop("{many} expires within 30 d", "{many} expire within 30 d")
)
EXTEND = reason("checks.extend", gettext_noop("extend them, or let them expire to release their pledge"))
CLAIMS_END = reason(
    "checks.claims_end", *ngettext_noop("{claims} ends within 30 d", "{claims} end within 30 d")
)
CLAIM_LASTS = reason(
    "checks.claim_lasts",
    gettext_noop(
        "{miner} / {sector_number}: claim {claim} lasts until epoch {end_epoch}; extend the sector "
        "without it, or ask the client to extend the claim"
    ),
)
UNTIL_ENDS = reason("checks.until_ends", gettext_noop("until it ends"))
UNTIL_FIRST_ENDS = reason("checks.until_first_ends", gettext_noop("until the first ends"))
FILES_LEFT = reason("checks.files_left", gettext_noop("files left from {many} that ended"))
FREED = reason("checks.freed", gettext_noop("{sizes} can be freed"))
FAULTS_COST = reason(
    "checks.faults_cost", gettext_noop("the faults cost {cost} FIL per day until it is done")
)
STOPPED = reason("checks.stopped", gettext_noop("{count} stopped"))
UNLISTED = reason("checks.unlisted", gettext_noop("{miner} has {sectors} unknown to the pool"))
ADOPT = reason(
    "checks.adopt",
    gettext_noop("they are on chain: adopt them, and hosts look for their files in the stores"),
)
FAILED = reason("checks.failed", gettext_noop("{count} failed"))
MOVES_FAILED = reason("checks.moves_failed", gettext_noop("{moves} between stores failed"))
FROM_TO = reason("checks.from_to", gettext_noop("from {from_store} to {to_store}"))
UNSEALS_FAILED = reason("checks.unseals_failed", gettext_noop("{pieces} could not be unsealed"))
UNTIL_ACTIVE = reason("checks.until_active", gettext_noop("until the first must be active"))
PIECES_STOPPED = reason("checks.pieces_stopped", gettext_noop("{pieces} due within 24 h: not being sealed"))
SECTOR_PAUSED = reason("checks.sector_paused", gettext_noop("sector {number} was paused"))
WAITS_FOR_SNAP_UP = reason("checks.waits_for_snap_up", gettext_noop("it waits for a snap-up"))
NO_SECTOR_STARTED = reason("checks.no_sector_started", gettext_noop("no sector was started for it"))

# Senders and signers
GAPS = reason("checks.gaps", gettext_noop("{count} with a nonce gap"))
GAP = reason("checks.gap", gettext_noop("{shortened} is missing nonce {gap_nonce}"))
GAP_FILLED = reason("checks.gap_filled", gettext_noop("an empty message fills it within a few heads"))
SENDERS_HELD = reason("checks.senders_held", gettext_noop("nothing is pushed or signed until resumed"))
SENDERS_FOREIGN = reason("checks.senders_foreign", gettext_noop("{count} used by another program"))
NONCES_COLLIDE = reason(
    "checks.nonces_collide", gettext_noop("another program sends from the same address, so nonces collide")
)
SENDERS_LEFT = reason("checks.senders_left", gettext_noop("{count} with messages that wait for your word"))
NONCES_OF_OTHER = reason(
    "checks.nonces_of_other",
    gettext_noop("another program assigns their nonces; let the pool send, or mark them failed"),
)
RUNWAY = reason("checks.runway", gettext_noop("{balances} running low"))
RUNWAY_LEFT = reason(
    "checks.runway_left",
    gettext_noop("{names}: less than {runway_days} days left at the gas cost of the last {span}; send funds"),
)
UNTIL_EMPTY = reason("checks.until_empty", gettext_noop("until {label} is empty"))
UNSIGNED = reason("checks.unsigned", gettext_noop("nothing can be signed for {names}"))
PROOFS_UNSIGNED = reason("checks.proofs_unsigned", gettext_noop("including the proofs of {served}"))
ADDRESSES = reason("checks.addresses", *ngettext_noop("{count} address", "{count} addresses"))
SIGNERS_AWAY = reason("checks.signers_away", gettext_noop("{addresses} without a signer"))
WINNING_FAILED = reason("checks.winning_failed", gettext_noop("winning proofs of {names} failed"))
LATEST = reason("checks.latest", gettext_noop("latest: {last_failure}"))
REQUESTS_FAILED = reason("checks.requests_failed", gettext_noop("requests to {signers} failed"))
LIMIT_SHARED = reason(
    "checks.limit_shared",
    gettext_noop("proofs share a daily limit with sealing: once it is used up, windows are missed"),
)
ANYBODYS_ESCROW = reason("checks.anybodys_escrow", gettext_noop("AddBalance may pay into anybody's escrow"))
VOTES_BARRED = reason("checks.votes_barred", gettext_noop("no rule allows the F3 votes of {miners}"))
DEALS_BARRED = reason(
    "checks.deals_barred", gettext_noop("no rule allows publishing, or settling, the deals of {miners}")
)
POLICY_ADVICE = reason("checks.policy_advice", gettext_noop("the policy of {tenant}'s signer needs a change"))
GRANTS_UNCHOSEN = reason(
    "checks.grants_unchosen",
    gettext_noop("{tenant} may use {keys} of another tenant's signer that nobody granted"),
)
GRANTS_CHOOSE = reason(
    "checks.grants_choose", gettext_noop("{names}: keep or revoke each on the tenant's page")
)

# Stores
STORES_AWAY = reason("checks.stores_away", gettext_noop("{stores} with {many} unreachable"))
OVER_SECTORS = reason("checks.over_sectors", gettext_noop("over {lost_counted_max} sectors"))
RESTART = reason(
    "checks.restart", gettext_noop("restart {silent}, or start another host that reads the same files")
)
REATTACH = reason("checks.reattach", gettext_noop("reattach them to a host"))
SEALING_AWAY = reason(
    "checks.sealing_away", gettext_noop("sealing folder {folder} of {worker} is unavailable")
)
SEALING_HELD = reason("checks.sealing_held", gettext_noop("{reason}; {sectors} there, and none starts"))
STORE_CLOSED = reason("checks.store_closed", gettext_noop("{store} accepts no sectors"))
STORE_AWAITED = reason("checks.store_awaited", gettext_noop("{sectors} waiting to be stored"))
COPIES_BAD = reason("checks.copies_bad", gettext_noop("{many} in {store} with bad files"))
COPY_BAD = reason(
    "checks.copy_bad", gettext_noop("{miner} / {number}: {first}; rebuild it, then check its files again")
)
STORE_EMPTY = reason(
    "checks.store_empty",
    gettext_noop(
        "no sector is stored there yet, but any that is would become faulty: attach {path} to a "
        "prover, or join one with that store"
    ),
)
STORE_UNPROVEN_CAUSE = reason(
    "checks.store_unproven_cause",
    gettext_noop(
        "{sectors} there, and each becomes faulty at its next window: attach {path} to a prover, or "
        "join one with that store"
    ),
)
STORE_UNPROVEN = reason("checks.store_unproven", gettext_noop("no prover reads {store}"))
STORE_FILLING = reason("checks.store_filling", gettext_noop("{store} will be full in {left}"))
STORE_RATE = reason(
    "checks.store_rate",
    gettext_noop("{free_bytes} free, at the rate of the last {span}; attach another store before then"),
)

# New sectors that no host begins
UNCLAIMED = reason("checks.unclaimed", gettext_noop("{sectors} unclaimed for {waited}"))
NO_HOST = reason(
    "checks.no_host", gettext_noop("no sealing host has joined: add one under Hosts, Join a host")
)

OFFLINE = reason("checks.offline", gettext_noop("is offline: restart it"))
IS_PAUSED = reason("checks.is_paused", gettext_noop("is paused: resume it"))
IS_DRAINING = reason("checks.is_draining", gettext_noop("is draining: resume it"))
PROOFS_INVALID = reason("checks.proofs_invalid", gettext_noop("cannot make valid proofs: {reason}"))
NO_FIRST_SLOT = reason(
    "checks.no_first_slot", gettext_noop("has no slot for adding pieces, the first stage of a sector")
)
LAST_ERROR = reason("checks.last_error", gettext_noop("claims none; its last error: {error}"))
CLAIMS_NONE = reason(
    "checks.claims_none", gettext_noop("claims none: see its log, and whether its sealing threads are free")
)
NO_ROLE = reason(
    "checks.no_role", gettext_noop("does not hold the role {role} of {miner}: see Roles on the miner's page")
)
CLIENTS_DATA = reason("checks.clients_data", gettext_noop("sectors with clients' data"))
ZEROS = reason("checks.zeros", gettext_noop("sectors of zeros"))
ACCEPTS_NONE = reason(
    "checks.accepts_none",
    gettext_noop(
        "accepts no {kind} of {miner} with {size}: change allowed_miners, allowed_sizes, enable_deals "
        "or disable_cc in its settings, or a thread's plan"
    ),
)
DISK_LACKS = reason(
    "checks.disk_lacks", gettext_noop("has {free} of disk space free, a new sector needs {room}")
)
LIMIT_REACHED = reason(
    "checks.limit_reached", gettext_noop("has {count} unfinished, its setting sectors_max allows {most}")
)
NO_STORE = reason("checks.no_store", gettext_noop("has no store that accepts sectors: see Storage"))
STORES_SHARED = reason(
    "checks.stores_shared",
    gettext_noop(
        "shares {stores} with other hosts: {free} free, and {sectors} in progress will need {coming}: "
        "add a store"
    ),
)
STORES_PROMISED = reason(
    "checks.stores_promised",
    gettext_noop("has {free} free in its stores besides {promised} that is promised to copies"),
)

# Notifications
HEAD_AGAIN = reason("checks.head_again", gettext_noop("{severity} again"))
HEAD_WORSE = reason("checks.head_worse", gettext_noop("{severity}, worse"))
FROM_POOL = reason("checks.from_pool", "[{pool}] {text}")
NO_CHAIN = reason("checks.no_chain", gettext_noop("no chain"))
ACKNOWLEDGED_BY = reason("checks.acknowledged_by", gettext_noop("Acknowledged by {actor}: {found}"))
ACKNOWLEDGEMENT_ENDED = reason(
    "checks.acknowledgement_ended", gettext_noop("Acknowledgement ended by {actor}: {found}")
)
ACKNOWLEDGED_TILL = reason("checks.acknowledged_till", gettext_noop("Acknowledgement is over: {found}"))
COMMENTED_ON = reason("checks.commented_on", gettext_noop("{actor} commented on “{found}”: {comment}"))
