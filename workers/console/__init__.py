"""The console as workers see it: requests, leases, commands; shared by sealer and prover."""
