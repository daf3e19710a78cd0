"""Writing sectors: numbers and pledges, hosts, claims, reports, chain steps, batches."""
