"""Curio's market 2.0 over HTTP, `/market/mk20`: clients propose deals and bring their data.

Source: filecoin-project/curio market/mk20/{auth,types,ddo_v1,mk20,utils,mk20_upload}.go, http/http.go,
client/http_client.go.
"""
