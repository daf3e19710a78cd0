package main

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/filecoin-project/go-address"
	"github.com/filecoin-project/go-jsonrpc"
	"github.com/filecoin-project/go-state-types/crypto"
	vcrypto "github.com/filecoin-project/venus/pkg/crypto"
	_ "github.com/filecoin-project/venus/pkg/crypto/delegated"
	gateway "github.com/filecoin-project/venus/venus-shared/api/gateway/v2"
	"github.com/filecoin-project/venus/venus-shared/api/permission"
	vtypes "github.com/filecoin-project/venus/venus-shared/types"
	vgateway "github.com/filecoin-project/venus/venus-shared/types/gateway"
	"github.com/ipfs-force-community/sophon-auth/jwtclient"
	"github.com/ipfs-force-community/sophon-gateway/api/v1api"
	"github.com/ipfs-force-community/sophon-gateway/marketevent"
	"github.com/ipfs-force-community/sophon-gateway/proofevent"
	"github.com/ipfs-force-community/sophon-gateway/types"
	"github.com/ipfs-force-community/sophon-gateway/validator"
	"github.com/ipfs-force-community/sophon-gateway/walletevent"
	"github.com/kilic/bls12-381"
)

// domain separates Filecoin's BLS signatures.
const domain = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_"

// blsVerifier checks BLS signatures; venus's own needs a Rust library, which module proxies do not carry.
type blsVerifier struct{ vcrypto.SigShim }

func (blsVerifier) Verify(signature []byte, signer address.Address, message []byte) error {
	public, err := bls12381.NewG1().FromCompressed(signer.Payload())
	if err != nil {
		return err
	}
	signed, err := bls12381.NewG2().FromCompressed(signature)
	if err != nil {
		return err
	}
	hashed, err := bls12381.NewG2().HashToCurve(message, []byte(domain))
	if err != nil {
		return err
	}
	engine := bls12381.NewEngine()
	engine.AddPair(public, hashed)
	engine.AddPairInv(engine.G1.One(), signed)
	if !engine.Check() {
		return fmt.Errorf("bls signature failed to verify")
	}
	return nil
}

// hub is sophon-gateway but for its proxy, whose constants come from a module that is not public.
type hub struct {
	*walletevent.WalletEventStream
	*proofevent.ProofEventStream
	*marketevent.MarketEventStream
}

func (hub) Version(context.Context) (vtypes.Version, error) {
	return vtypes.Version{Version: "1.20.0"}, nil
}

func (hub) RegisterReverse(context.Context, vgateway.HostKey, string) error {
	return fmt.Errorf("the proxy is not part of this program")
}

// Hub is what the test drives.
type Hub struct {
	gateway.IGateway
	address string
}

// Address tells where the hub listens.
func (h *Hub) Address() string { return h.address }

func serve(ctx context.Context, listen, authURL, token string) (any, error) {
	vcrypto.RegisterSignature(crypto.SigTypeBLS, blsVerifier{})
	auth, err := jwtclient.NewAuthClient(authURL, token)
	if err != nil {
		return nil, err
	}
	miners := validator.NewMinerValidator(auth)
	whole := hub{
		walletevent.NewWalletEventStream(ctx, auth, types.DefaultConfig()),
		proofevent.NewProofEventStream(ctx, miners, types.DefaultConfig()),
		marketevent.NewMarketEventStream(ctx, miners, types.DefaultConfig()),
	}
	var guarded gateway.IGatewayStruct
	permission.PermissionProxy(whole, &guarded)
	second, first := jsonrpc.NewServer(), jsonrpc.NewServer()
	second.Register("Gateway", &guarded)
	first.Register("Gateway", v1api.WrapperV2Full{IGateway: &guarded})
	paths := http.NewServeMux()
	paths.Handle("/rpc/v2", second)
	paths.Handle("/rpc/v1", first)
	local, _, err := jwtclient.NewLocalAuthClient()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	guard := jwtclient.NewAuthMux(local, jwtclient.WarpIJwtAuthClient(auth), paths)
	server := &http.Server{Handler: guard, BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() {
		if err := server.Serve(listener); err != nil {
			log.Error(err)
		}
	}()
	return &Hub{whole, listener.Addr().String()}, nil
}
