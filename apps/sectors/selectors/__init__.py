"""Reading sectors, jobs, hosts, stores and what is done with proven sectors."""
