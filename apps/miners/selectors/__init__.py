"""Reading miners, the senders of their messages, and the roles of hosts."""
