"""Reading deadlines, partitions, proofs, checks of files and recoveries."""
