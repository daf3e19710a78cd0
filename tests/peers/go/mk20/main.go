// A client of market 2.0 in Go: proposes deals, uploads their data whole and in chunks, and asks how far they are.
//
// Usage: mk20 URL MINER [ORDER]; prints one JSON object for each step.  The piece commitments are
// go-fil-commp-hashhash's.  With an order as JSON it proposes that one deal, or asks how far it is.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/filecoin-project/go-address"
	fcrypto "github.com/filecoin-project/go-crypto"
	commcid "github.com/filecoin-project/go-fil-commcid"
	commp "github.com/filecoin-project/go-fil-commp-hashhash"
	"github.com/filecoin-project/go-state-types/abi"
	"github.com/ipfs/go-cid"
	"github.com/minio/blake2b-simd"
	"github.com/oklog/ulid"
)

const chunkSize = 1 << 20

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func say(step string, answer *Error, found any) {
	must(answer.Error)
	line, err := json.Marshal(map[string]any{
		"step": step, "status": answer.Status, "message": answer.Message, "found": found,
	})
	must(err)
	fmt.Println(string(line))
}

type wallet struct {
	key     []byte
	address address.Address
}

func newWallet() *wallet {
	key, err := fcrypto.GenerateKey()
	must(err)
	return walletOf(key)
}

func walletOf(key []byte) *wallet {
	owner, err := address.NewSecp256k1Address(fcrypto.PublicKey(key))
	must(err)
	return &wallet{key, owner}
}

func (w *wallet) Sign(digest []byte) ([]byte, error) {
	sum := blake2b.Sum256(digest)
	signed, err := fcrypto.Sign(w.key, sum[:])
	return append([]byte{1}, signed...), err
}

func (w *wallet) PublicKeyBytes() []byte { return w.address.Bytes() }
func (w *wallet) Type() string           { return "secp256k1" }

func pieceOf(data []byte) cid.Cid {
	calc := new(commp.Calc)
	_, err := calc.Write(data)
	must(err)
	digest, _, err := calc.Digest()
	must(err)
	piece, err := commcid.DataCommitmentToPieceCidv2(digest, uint64(len(data)))
	must(err)
	return piece
}

func dealOf(w *wallet, miner address.Address, data []byte) *Deal {
	id, err := ulid.New(ulid.Now(), rand.Reader)
	must(err)
	return &Deal{
		Identifier: id,
		Client:     w.address.String(),
		Data: &DataSource{
			PieceCID: pieceOf(data), Format: PieceDataFormat{Raw: &FormatBytes{}}, SourceHttpPut: &DataSourceHttpPut{},
		},
		Products: Products{
			DDOV1:       &DDOV1{Provider: miner, Duration: abi.ChainEpoch(600000)},
			RetrievalV1: &RetrievalV1{},
		},
	}
}

// order is a deal that the test asks for, or the name of one that it asked for before.
type order struct {
	Key, Data  []byte
	Offline    bool
	Allocation *uint64
	Start      *abi.ChainEpoch
	Duration   abi.ChainEpoch
	Identifier string
}

func oneDeal(ctx context.Context, url string, miner address.Address, text string) {
	var wanted order
	must(json.Unmarshal([]byte(text), &wanted))
	w := walletOf(wanted.Key)
	c := newClient(url, w)
	if wanted.Identifier != "" {
		id, err := ulid.Parse(wanted.Identifier)
		must(err)
		status, answer := c.Status(ctx, id)
		say("status", answer, status)
		return
	}
	deal := dealOf(w, miner, wanted.Data)
	deal.Products.DDOV1.AllocationID = wanted.Allocation
	deal.Products.DDOV1.StartEpoch = wanted.Start
	deal.Products.DDOV1.Duration = wanted.Duration
	if wanted.Offline {
		deal.Data.SourceHttpPut, deal.Data.SourceOffline = nil, &DataSourceOffline{}
	}
	say("proposed", c.SubmitDeal(ctx, deal), deal)
	if !wanted.Offline {
		say("uploaded", c.UploadSerial(ctx, deal.Identifier, bytes.NewReader(wanted.Data)), nil)
		say("finalized", c.UploadSerialFinalize(ctx, deal.Identifier, nil), nil)
	}
}

func main() {
	address.CurrentNetwork = address.Mainnet
	miner, err := address.NewFromString(os.Args[2])
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if len(os.Args) > 3 {
		oneDeal(ctx, os.Args[1], miner, os.Args[3])
		return
	}
	w := newWallet()
	c, stranger := newClient(os.Args[1], w), newClient(os.Args[1], newWallet())

	products, answer := c.Products(ctx)
	say("products", answer, products)
	sources, answer := c.Sources(ctx)
	say("sources", answer, sources)
	contracts, answer := c.Contracts(ctx)
	say("contracts", answer, contracts)

	small := bytes.Repeat([]byte("uploaded whole "), 100)
	whole := dealOf(w, miner, small)
	say("whole", c.SubmitDeal(ctx, whole), whole)
	say("again", c.SubmitDeal(ctx, whole), nil)
	say("updated", c.Update(ctx, whole.Identifier, whole), nil)
	status, answer := c.Status(ctx, whole.Identifier)
	say("awaited", answer, status)
	_, answer = stranger.Status(ctx, whole.Identifier)
	say("stranger", answer, nil)
	say("other bytes", c.UploadSerial(ctx, whole.Identifier, bytes.NewReader(make([]byte, len(small)))), nil)
	say("uploaded", c.UploadSerial(ctx, whole.Identifier, bytes.NewReader(small)), nil)
	say("finalized", c.UploadSerialFinalize(ctx, whole.Identifier, nil), nil)

	large := bytes.Repeat([]byte("in chunks"), chunkSize/5)
	parts := dealOf(w, miner, large)
	say("parts", c.SubmitDeal(ctx, parts), parts)
	_, answer = c.UploadStatus(ctx, parts.Identifier)
	say("not begun", answer, nil)
	sizes := &StartUpload{RawSize: uint64(len(large)), ChunkSize: chunkSize}
	say("begun", c.UploadInit(ctx, parts.Identifier, sizes), nil)
	say("second", c.UploadChunk(ctx, parts.Identifier, 2, bytes.NewReader(large[chunkSize:])), nil)
	chunks, answer := c.UploadStatus(ctx, parts.Identifier)
	say("missing", answer, chunks)
	say("first", c.UploadChunk(ctx, parts.Identifier, 1, bytes.NewReader(large[:chunkSize])), nil)
	say("all here", c.UploadFinalize(ctx, parts.Identifier, parts), nil)

	fetched := dealOf(w, miner, bytes.Repeat([]byte("fetched from a URL "), 20))
	fetched.Data.SourceHttpPut = nil
	fetched.Data.SourceHTTP = &DataSourceHTTP{URLs: []HttpUrl{{
		URL: "https://data.example/x", Headers: http.Header{"Authorization": {"Bearer t"}}, Fallback: true,
	}}}
	say("fetched", c.SubmitDeal(ctx, fetched), fetched)
	offline := dealOf(w, miner, bytes.Repeat([]byte("on disks "), 20))
	offline.Data.SourceHttpPut, offline.Data.SourceOffline = nil, &DataSourceOffline{}
	offline.Data.Format = PieceDataFormat{Car: &FormatCar{}}
	offline.Products.RetrievalV1 = &RetrievalV1{Indexing: true, AnnouncePayload: true}
	say("offline", c.SubmitDeal(ctx, offline), offline)
	short := dealOf(w, miner, bytes.Repeat([]byte("too short "), 20))
	short.Products.DDOV1.Duration = 5
	say("short", c.SubmitDeal(ctx, short), nil)
}
