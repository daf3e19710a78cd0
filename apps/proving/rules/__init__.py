"""What decides about proofs from what is given: which sectors one covers, when a job has stalled."""
