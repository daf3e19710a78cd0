// Command gateway runs sophon-gateway's own code as a program beside a hub.
//
//	gateway wallet URL ACCOUNT...   a signer: registers its keys at a hub and signs for it
//	gateway proof URL MINER         a prover's connection
//	gateway market URL MINER        a storage market's connection
//	gateway serve LISTEN AUTH-URL   the hub itself, asking an auth server
//
// The token stands in PEER_TOKEN.  Each answers requests on standard input (see package caller).
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/filecoin-project/go-address"
	"github.com/ipfs-force-community/sophon-gateway/marketevent"
	"github.com/ipfs-force-community/sophon-gateway/proofevent"
	"github.com/ipfs-force-community/sophon-gateway/walletevent"
	logging "github.com/ipfs/go-log/v2"

	"poolsite/peers/caller"
)

var log = logging.Logger("peer")

func wallet(ctx context.Context, url, token string, accounts []string) (any, error) {
	client, _, err := walletevent.NewWalletRegisterClient(ctx, url, token)
	if err != nil {
		return nil, err
	}
	keys := newKeys()
	events := walletevent.NewWalletEventClient(ctx, keys, client, log.With(), func() []string { return accounts })
	return &Wallet{keys: keys, events: events}, nil
}

func proof(ctx context.Context, url, token, miner string) (any, error) {
	address, err := address.NewFromString(miner)
	if err != nil {
		return nil, err
	}
	client, _, err := proofevent.NewProofRegisterClient(ctx, url, token)
	if err != nil {
		return nil, err
	}
	prover := &Prover{}
	prover.events = proofevent.NewProofEvent(client, address, prover, log.With())
	go prover.events.ListenProofRequest(ctx)
	return prover, nil
}

func market(ctx context.Context, url, token, miner string) (any, error) {
	address, err := address.NewFromString(miner)
	if err != nil {
		return nil, err
	}
	client, _, err := marketevent.NewMarketRegisterClient(ctx, url, token)
	if err != nil {
		return nil, err
	}
	store := &Market{}
	store.events = marketevent.NewMarketEventClient(client, address, store, log.With())
	go store.events.ListenMarketRequest(ctx)
	return store, nil
}

func run() error {
	if len(os.Args) < 4 {
		return fmt.Errorf("usage: %s wallet|proof|market|serve URL NAME", os.Args[0])
	}
	address.CurrentNetwork = address.Mainnet
	logging.SetupLogging(logging.Config{Format: logging.PlaintextOutput, Stderr: true, Level: logging.LevelInfo})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	token := os.Getenv("PEER_TOKEN")
	var driven any
	var err error
	switch os.Args[1] {
	case "wallet":
		driven, err = wallet(ctx, os.Args[2], token, os.Args[3:])
	case "proof":
		driven, err = proof(ctx, os.Args[2], token, os.Args[3])
	case "market":
		driven, err = market(ctx, os.Args[2], token, os.Args[3])
	case "serve":
		driven, err = serve(ctx, os.Args[2], os.Args[3], token)
	default:
		err = fmt.Errorf("no part %q", os.Args[1])
	}
	if err != nil {
		return err
	}
	return caller.Serve(ctx, driven, os.Stdin, os.Stdout)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
