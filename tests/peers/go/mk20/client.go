// The client of market 2.0, by Curio's documents: its types, their JSON, its routes and its header of a request.
//
// Source: filecoin-project/curio market/mk20/{types,utils,ddo_v1,retrieval_v1}.go and market/mk20/client; names are
// those of that package.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/filecoin-project/go-address"
	"github.com/filecoin-project/go-state-types/abi"
	"github.com/ipfs/go-cid"
	"github.com/oklog/ulid"
)

type Deal struct {
	Identifier ulid.ULID   `json:"identifier"`
	Client     string      `json:"client"`
	Data       *DataSource `json:"data,omitempty"`
	Products   Products    `json:"products"`
}

type Products struct {
	DDOV1       *DDOV1       `json:"ddo_v1,omitempty"`
	RetrievalV1 *RetrievalV1 `json:"retrieval_v1,omitempty"`
}

type DDOV1 struct {
	Provider            address.Address `json:"provider"`
	StartEpoch          *abi.ChainEpoch `json:"start_epoch"`
	Duration            abi.ChainEpoch  `json:"duration"`
	AllocationID        *uint64         `json:"allocation_id,omitempty"`
	MarketAddress       string          `json:"market_address"`
	MarketDealID        *uint64         `json:"market_deal_id"`
	NotificationAddress address.Address `json:"notification_address"`
	NotificationPayload []byte          `json:"notification_payload,omitempty"`
}

type RetrievalV1 struct {
	Indexing        bool `json:"indexing"`
	AnnouncePayload bool `json:"announce_payload"`
	AnnouncePiece   bool `json:"announce_piece"`
}

type DataSource struct {
	PieceCID      cid.Cid            `json:"piece_cid"`
	Format        PieceDataFormat    `json:"format"`
	SourceHTTP    *DataSourceHTTP    `json:"source_http,omitempty"`
	SourceOffline *DataSourceOffline `json:"source_offline,omitempty"`
	SourceHttpPut *DataSourceHttpPut `json:"source_http_put,omitempty"`
}

type PieceDataFormat struct {
	Car *FormatCar   `json:"car,omitempty"`
	Raw *FormatBytes `json:"raw,omitempty"`
}

type (
	FormatCar         struct{}
	FormatBytes       struct{}
	DataSourceOffline struct{}
	DataSourceHttpPut struct{}
)

type DataSourceHTTP struct {
	URLs []HttpUrl `json:"urls"`
}

type HttpUrl struct {
	URL      string      `json:"url"`
	Headers  http.Header `json:"headers"`
	Priority int         `json:"priority"`
	Fallback bool        `json:"fallback"`
}

type DealProductStatusResponse struct {
	DDOV1 *struct {
		State    string `json:"status"`
		ErrorMsg string `json:"errorMsg"`
	} `json:"ddo_v1,omitempty"`
}

type StartUpload struct {
	RawSize   uint64 `json:"raw_size"`
	ChunkSize int64  `json:"chunk_size"`
}

type UploadStatus struct {
	TotalChunks    int   `json:"total_chunks"`
	Uploaded       int   `json:"uploaded"`
	Missing        int   `json:"missing"`
	UploadedChunks []int `json:"uploaded_chunks"`
	MissingChunks  []int `json:"missing_chunks"`
}

// Signer is a wallet of Filecoin's.
type Signer interface {
	Sign(digest []byte) ([]byte, error)
	PublicKeyBytes() []byte
	Type() string
}

// Error is how a request ended; good ones have the status 200.
type Error struct {
	Status  int
	Message string
	Error   error
}

type HTTPClient struct {
	url    string
	signer Signer
}

// header lets a request in for this minute.
func (c *HTTPClient) header(method, path string) (string, error) {
	key := c.signer.PublicKeyBytes()
	minute := time.Now().UTC().Truncate(time.Minute).Format(time.RFC3339)
	digest := sha256.Sum256(bytes.Join([][]byte{key, []byte(method), []byte(path), []byte(minute)}, nil))
	signed, err := c.signer.Sign(digest[:])
	text := base64.StdEncoding.EncodeToString
	return "CurioAuth " + strings.Join([]string{c.signer.Type(), text(key), text(signed)}, ":"), err
}

func (c *HTTPClient) do(ctx context.Context, method, path string, body any, answer any) *Error {
	kind, data := "application/json", io.Reader(nil)
	switch sent := body.(type) {
	case nil:
	case io.Reader:
		kind, data = "application/octet-stream", sent
	default:
		text, err := json.Marshal(sent)
		if err != nil {
			return &Error{Error: err}
		}
		data = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+"/market/mk20"+path, data)
	if err != nil {
		return &Error{Error: err}
	}
	header, err := c.header(method, request.URL.EscapedPath())
	if err != nil {
		return &Error{Error: err}
	}
	request.Header.Set("Authorization", header)
	if data != nil {
		request.Header.Set("Content-Type", kind)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return &Error{Error: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode == http.StatusOK && answer != nil {
		err = json.Unmarshal(text, answer)
	}
	found := &Error{Status: response.StatusCode, Error: err}
	if response.StatusCode != http.StatusOK {
		found.Message = string(text)
	}
	return found
}

func (c *HTTPClient) list(ctx context.Context, name string) ([]string, *Error) {
	answer := map[string][]string{}
	err := c.do(ctx, "GET", "/"+name, nil, &answer)
	return answer[name], err
}

func (c *HTTPClient) Products(ctx context.Context) ([]string, *Error) { return c.list(ctx, "products") }
func (c *HTTPClient) Sources(ctx context.Context) ([]string, *Error)  { return c.list(ctx, "sources") }
func (c *HTTPClient) Contracts(ctx context.Context) ([]string, *Error) {
	return c.list(ctx, "contracts")
}

func (c *HTTPClient) SubmitDeal(ctx context.Context, deal *Deal) *Error {
	return c.do(ctx, "POST", "/deal", deal, nil)
}

func (c *HTTPClient) Update(ctx context.Context, id ulid.ULID, deal *Deal) *Error {
	return c.do(ctx, "POST", "/update/"+id.String(), deal, nil)
}

func (c *HTTPClient) Status(ctx context.Context, id ulid.ULID) (*DealProductStatusResponse, *Error) {
	answer := &DealProductStatusResponse{}
	return answer, c.do(ctx, "GET", "/status/"+id.String(), nil, answer)
}

func (c *HTTPClient) UploadSerial(ctx context.Context, id ulid.ULID, data io.Reader) *Error {
	return c.do(ctx, "PUT", "/upload/"+id.String(), data, nil)
}

func (c *HTTPClient) UploadSerialFinalize(ctx context.Context, id ulid.ULID, _ *Deal) *Error {
	return c.do(ctx, "POST", "/upload/"+id.String(), nil, nil)
}

func (c *HTTPClient) UploadInit(ctx context.Context, id ulid.ULID, sizes *StartUpload) *Error {
	return c.do(ctx, "POST", "/uploads/"+id.String(), sizes, nil)
}

func (c *HTTPClient) UploadStatus(ctx context.Context, id ulid.ULID) (*UploadStatus, *Error) {
	answer := &UploadStatus{}
	return answer, c.do(ctx, "GET", "/uploads/"+id.String(), nil, answer)
}

func (c *HTTPClient) UploadChunk(ctx context.Context, id ulid.ULID, chunk int, data io.Reader) *Error {
	return c.do(ctx, "PUT", fmt.Sprintf("/uploads/%s/%d", id, chunk), data, nil)
}

func (c *HTTPClient) UploadFinalize(ctx context.Context, id ulid.ULID, deal *Deal) *Error {
	return c.do(ctx, "POST", "/uploads/finalize/"+id.String(), deal, nil)
}

func newClient(url string, signer Signer) *HTTPClient { return &HTTPClient{url, signer} }
