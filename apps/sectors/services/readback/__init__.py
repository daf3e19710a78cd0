"""After a restore: what the chain, messages and hosts know of sectors that the backup does not."""
