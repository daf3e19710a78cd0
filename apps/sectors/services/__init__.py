"""Writing sectors: numbers and pledges, hosts, claims, reports, chain steps, batches.

Its packages are layered (pyproject.toml, docs/architecture.md): none imports one above it.

A sector has one `Job` from its pledge to its end; the job's row is the truth, messages and heads are hints.

What blocks a job.  Its state: READY, or LEASED with a lease that ran out, may be claimed; WAITING belongs
to the console until the chain has what it waits for; PAUSED to a person.  Its row: a pause after a failure
(`not_before`), a proof that is of no more use (`expires_at`), another host that has its files
(`sticky_worker`), hosts to which it was offered (`offered_to`), a miner that is still read back after a
restore.  The host: free slots of the stage, room for a new sector, the roles of its miner.  The questions
stand in `jobs.claim_statements`, what a claim must know before them in `jobs.claims`.

How a job starts. A host claims (`jobs.claims`); nothing is pushed to hosts. The stage's end is an event
(`jobs.stage_events`), whose transaction moves sector and job (`sealing.steps.sector_step`): to the next stage
under the same lease, to WAITING where the console is next, to READY where any host may go on. What the
chain must bring first (ticket, seed, a landed message) each head looks for (`sealing.tickets`,
`sealing.seeds`, `sealing.landings`, `batches`), and offers the job again.

How doubles are avoided.  A claim locks with SKIP LOCKED and writes a greater `lease_token`, and so does a
step back of the sector by console or person, after which its ticket or seed may be another; every report
carries its token, and an older one is refused (`jobs.report_leases.job_for_report`): the token is the fence,
the clock says only when others may try. Events are numbered, and the same one twice has the first one's
answer.  Every step of a sector holds its job's lock and is one UPDATE that names the state which was read
(`core.transitions`), so of two only one counts. A message's id is its batch's: pushing it again is the same
message. So any process may be killed at any line, and whoever comes next does it again.
"""
