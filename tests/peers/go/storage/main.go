// A storage client: go-libp2p as it is, with boostly's types, their CBOR and its questions.
//
// It is given a provider's multiaddress and a kind of key, proposes two deals to f01000 and prints one JSON object
// for each step.  With `deal` and a JSON object as second and third word it proposes that one deal, and asks how far
// it is; without a URL the deal is an offline one.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/filecoin-project/go-address"
	cborutil "github.com/filecoin-project/go-cbor-util"
	fcrypto "github.com/filecoin-project/go-crypto"
	"github.com/filecoin-project/go-state-types/abi"
	"github.com/filecoin-project/go-state-types/big"
	"github.com/filecoin-project/go-state-types/builtin/v9/market"
	"github.com/filecoin-project/go-state-types/crypto"
	"github.com/filecoin-shipyard/boostly"
	"github.com/google/uuid"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	lcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/minio/blake2b-simd"
)

func must(err error) {
	if err != nil {
		say("failed", map[string]any{"error": err.Error()})
		os.Exit(1)
	}
}

func say(step string, row map[string]any) {
	row["step"] = step
	line, err := json.Marshal(row)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

// client is a wallet of Filecoin's and a peer.
type client struct {
	host     host.Host
	provider peer.ID
	key      []byte
	address  address.Address
}

func (c *client) sign(data []byte) crypto.Signature {
	digest := blake2b.Sum256(data)
	signed, err := fcrypto.Sign(c.key, digest[:])
	must(err)
	return crypto.Signature{Type: crypto.SigTypeSecp256k1, Data: signed}
}

func (c *client) proposal(label string) boostly.DealParams {
	miner, err := address.NewIDAddress(1000)
	must(err)
	piece, err := cid.Decode("baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq")
	must(err)
	root, err := cid.Decode("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi")
	must(err)
	text, err := market.NewLabelFromString(label)
	must(err)
	terms := market.DealProposal{
		PieceCID: piece, PieceSize: 2048, VerifiedDeal: true, Client: c.address, Provider: miner, Label: text,
		StartEpoch: 90000, EndEpoch: 90000 + 518400, StoragePricePerEpoch: abi.NewTokenAmount(7),
		ProviderCollateral: abi.NewTokenAmount(5), ClientCollateral: abi.NewTokenAmount(0),
	}
	var data bytes.Buffer
	must(terms.MarshalCBOR(&data))
	params, err := json.Marshal(boostly.HttpRequest{
		URL: "http://127.0.0.1:9/x.car", Headers: map[string]string{"Authorization": "Bearer t"},
	})
	must(err)
	return boostly.DealParams{
		DealUUID:           uuid.New(),
		ClientDealProposal: market.ClientDealProposal{Proposal: terms, ClientSignature: c.sign(data.Bytes())},
		DealDataRoot:       root,
		Transfer:           boostly.Transfer{Type: "http", Params: params, Size: 1900},
	}
}

func (c *client) propose(ctx context.Context, deal *boostly.DealParams, names ...protocol.ID) map[string]any {
	stream, err := c.host.NewStream(ctx, c.provider, names...)
	must(err)
	defer stream.Close()
	must(stream.SetDeadline(time.Now().Add(time.Minute)))
	must(cborutil.WriteCborRPC(stream, deal))
	var answer boostly.DealResponse
	must(cborutil.ReadCborRPC(stream, &answer))
	return map[string]any{
		"deal": deal.DealUUID.String(), "protocol": stream.Protocol(), "accepted": answer.Accepted,
		"message": answer.Message,
	}
}

func (c *client) ask(ctx context.Context) string {
	stream, err := c.host.NewStream(ctx, c.provider, "/fil/storage/ask/1.1.0")
	must(err)
	defer stream.Close()
	miner, err := address.NewIDAddress(1000)
	must(err)
	request := bytes.NewBufferString("\xa1\x65Miner")
	must(miner.MarshalCBOR(request))
	_, err = stream.Write(request.Bytes())
	must(err)
	answer, err := io.ReadAll(stream)
	must(err)
	return hex.EncodeToString(answer)
}

// order is a deal that the test asks for.
type order struct {
	Key, Provider, UUID, Piece, Label, URL, Price, Collateral string
	Headers                                                   map[string]string
	PieceSize, Size                                           uint64
	Verified                                                  bool
	Start, End                                                int64
}

func amount(text string) abi.TokenAmount {
	found, err := big.FromString(text)
	must(err)
	return found
}

func (c *client) ordered(o order) boostly.DealParams {
	miner, err := address.NewFromString(o.Provider)
	must(err)
	piece, err := cid.Decode(o.Piece)
	must(err)
	root, err := cid.Decode("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi")
	must(err)
	text, err := market.NewLabelFromString(o.Label)
	must(err)
	terms := market.DealProposal{
		PieceCID: piece, PieceSize: abi.PaddedPieceSize(o.PieceSize), VerifiedDeal: o.Verified, Client: c.address,
		Provider: miner, Label: text, StartEpoch: abi.ChainEpoch(o.Start), EndEpoch: abi.ChainEpoch(o.End),
		StoragePricePerEpoch: amount(o.Price), ProviderCollateral: amount(o.Collateral),
		ClientCollateral: abi.NewTokenAmount(0),
	}
	var data bytes.Buffer
	must(terms.MarshalCBOR(&data))
	transfer := boostly.Transfer{Size: o.Size}
	if o.URL != "" {
		transfer.Type = "http"
		transfer.Params, err = json.Marshal(boostly.HttpRequest{URL: o.URL, Headers: o.Headers})
		must(err)
	}
	name, err := uuid.Parse(o.UUID)
	must(err)
	return boostly.DealParams{
		DealUUID:           name,
		ClientDealProposal: market.ClientDealProposal{Proposal: terms, ClientSignature: c.sign(data.Bytes())},
		DealDataRoot:       root,
		IsOffline:          o.URL == "",
		Transfer:           transfer,
	}
}

func (c *client) status(ctx context.Context, deal uuid.UUID) *boostly.DealStatusResponse {
	name, err := deal.MarshalBinary()
	must(err)
	signed := c.sign(name)
	status, err := boostly.GetDealStatus(ctx, c.host, c.provider, deal,
		func(context.Context, []byte) (*crypto.Signature, error) { return &signed, nil })
	must(err)
	return status
}

func oneDeal(ctx context.Context, node host.Host, provider peer.ID, text string) {
	var wanted order
	must(json.Unmarshal([]byte(text), &wanted))
	key, err := hex.DecodeString(wanted.Key)
	must(err)
	wallet, err := address.NewSecp256k1Address(fcrypto.PublicKey(key))
	must(err)
	c := &client{node, provider, key, wallet}
	deal := c.ordered(wanted)
	say("propose", c.propose(ctx, &deal, "/fil/storage/mk/1.2.1", "/fil/storage/mk/1.2.0"))
	say("status", map[string]any{"answer": c.status(ctx, deal.DealUUID)})
}

func main() {
	kinds := map[string]int{
		"rsa": lcrypto.RSA, "ed25519": lcrypto.Ed25519, "secp256k1": lcrypto.Secp256k1, "ecdsa": lcrypto.ECDSA,
	}
	kind, isKnown := kinds[os.Args[2]]
	if !isKnown {
		kind = lcrypto.Ed25519
	}
	own, _, err := lcrypto.GenerateKeyPairWithReader(kind, 2048, rand.Reader)
	must(err)
	options := []libp2p.Option{libp2p.Identity(own), libp2p.NoListenAddrs}
	if isKnown && len(os.Args) > 3 {
		options = append(options, map[string]libp2p.Option{
			"noise": libp2p.Security(noise.ID, noise.New), "tls": libp2p.Security(tls.ID, tls.New),
		}[os.Args[3]])
	}
	node, err := libp2p.New(options...)
	must(err)
	defer node.Close()
	provider, err := peer.AddrInfoFromString(os.Args[1])
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	must(node.Connect(ctx, *provider))
	if !isKnown {
		oneDeal(ctx, node, provider.ID, os.Args[3])
		return
	}
	names, err := node.Peerstore().GetProtocols(provider.ID)
	must(err)
	agent, err := node.Peerstore().Get(provider.ID, "AgentVersion")
	must(err)
	state := node.Network().ConnsToPeer(provider.ID)[0].ConnState()
	say("identify", map[string]any{
		"protocols": names, "agent": agent, "security": state.Security, "muxer": state.StreamMultiplexer,
		"addresses": node.Peerstore().Addrs(provider.ID),
	})

	key, err := fcrypto.GenerateKey()
	must(err)
	wallet, err := address.NewSecp256k1Address(fcrypto.PublicKey(key))
	must(err)
	c := &client{node, provider.ID, key, wallet}
	first := c.proposal("first")
	say("propose", c.propose(ctx, &first, "/fil/storage/mk/1.2.0"))
	say("again", c.propose(ctx, &first, "/fil/storage/mk/1.2.0"))
	second := c.proposal("second")
	say("newer", c.propose(ctx, &second, "/fil/storage/mk/1.2.1", "/fil/storage/mk/1.2.0"))
	bad := c.proposal("bad")
	bad.ClientDealProposal.ClientSignature.Data[5] ^= 1
	say("bad signature", c.propose(ctx, &bad, "/fil/storage/mk/1.2.0"))

	say("status", map[string]any{"answer": c.status(ctx, first.DealUUID)})
	transports, err := boostly.QueryTransports(ctx, node, provider.ID)
	must(err)
	say("transports", map[string]any{"answer": transports})
	say("ask", map[string]any{"answer": c.ask(ctx)})
	for range 50 {
		c.ask(ctx)
	}
	_, err = node.NewStream(ctx, provider.ID, "/nope/1.0.0")
	say("unknown", map[string]any{"error": fmt.Sprint(err)})
}
