"""Writing proofs: deadlines from the chain, jobs, submissions, recoveries."""
