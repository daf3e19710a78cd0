"""The hub as its callers see it: requests to connections that web processes hold, routes, deadlines."""
