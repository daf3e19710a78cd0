// Command venus drives one of venus-shared's generated clients: venus INTERFACE URL, token in PEER_TOKEN.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/filecoin-project/go-address"
	"github.com/filecoin-project/go-jsonrpc"
	v0 "github.com/filecoin-project/venus/venus-shared/api/chain/v0"
	v1 "github.com/filecoin-project/venus/venus-shared/api/chain/v1"
	gateway "github.com/filecoin-project/venus/venus-shared/api/gateway/v2"
	"github.com/filecoin-project/venus/venus-shared/api/messager"
	"github.com/filecoin-project/venus/venus-shared/api/wallet"

	"poolsite/peers/caller"
)

func dial(ctx context.Context, kind, url string, header http.Header) (any, jsonrpc.ClientCloser, error) {
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

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: %s chain-v0|chain-v1|messager|gateway|wallet URL", os.Args[0])
	}
	address.CurrentNetwork = address.Mainnet
	header := http.Header{}
	if token := os.Getenv("PEER_TOKEN"); token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	ctx := context.Background()
	client, closer, err := dial(ctx, os.Args[1], os.Args[2], header)
	if err != nil {
		return err
	}
	defer closer()
	return caller.Serve(ctx, client, os.Stdin, os.Stdout)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
