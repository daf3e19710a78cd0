// Command venus drives one of venus-shared's generated clients: venus INTERFACE URL, token in PEER_TOKEN.
package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/filecoin-project/go-address"
	v0 "github.com/filecoin-project/venus/venus-shared/api/chain/v0"
	v1 "github.com/filecoin-project/venus/venus-shared/api/chain/v1"
	gateway "github.com/filecoin-project/venus/venus-shared/api/gateway/v2"
	"github.com/filecoin-project/venus/venus-shared/api/messager"
	"github.com/filecoin-project/venus/venus-shared/api/wallet"

	"poolsite/peers/caller"
)

func dial(ctx context.Context, kind, url string, header http.Header) (any, func(), error) {
	switch kind {
	case "chain-v0":
		return v0.NewFullNodeRPC(ctx, url, header)
	case "chain-v1":
		return v1.NewFullNodeRPC(ctx, url, header)
	case "messager":
		return messager.NewIMessagerRPC(ctx, url, header)
	case "gateway":
		return gateway.NewIGatewayRPC(ctx, url, header)
	case "wallet":
		return wallet.NewIFullAPIRPC(ctx, url, header)
	}
	return nil, nil, fmt.Errorf("no interface %q", kind)
}

func main() {
	address.CurrentNetwork = address.Mainnet
	caller.Main("chain-v0|chain-v1|messager|gateway|wallet", dial)
}
