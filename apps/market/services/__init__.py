"""Writing deals: what miners ask for, proposals, data that come, and what becomes of them."""
