// Package caller drives any generated API client from standard input, one JSON object a line.
//
// A request is {"id": 1, "method": "ChainHead", "params": [...]}; each parameter is decoded into the Go type
// that the client's method takes, the method is called, and what it gives is encoded again: so a member that
// the server spells or types differently from the public Go type is lost or refused, and the test sees it.
// Answers are {"id", "result"} or {"id", "error"}; a channel gives {"id", "value"} for each value and
// {"id", "closed": true} at its end.  {"cancel": 1} cancels the context of call 1.
package caller

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"sync"
)

type request struct {
	ID     int64             `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
	Cancel int64             `json:"cancel"`
}

type answer struct {
	ID     int64  `json:"id"`
	Result any    `json:"result,omitempty"`
	Value  any    `json:"value,omitempty"`
	Error  string `json:"error,omitempty"`
	Closed bool   `json:"closed,omitempty"`
}

// Caller holds the client whose methods are called, and the calls that run.
type Caller struct {
	client  reflect.Value
	lock    sync.Mutex
	out     *json.Encoder
	cancels map[int64]context.CancelFunc
}

// Serve reads requests until the end of input.  Calls run at the same time, as a program's would.
func Serve(ctx context.Context, client any, in io.Reader, out io.Writer) error {
	c := &Caller{client: reflect.ValueOf(client), out: json.NewEncoder(out), cancels: map[int64]context.CancelFunc{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), 1<<27)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return fmt.Errorf("a request that is not JSON: %w", err)
		}
		if asked.Cancel != 0 {
			c.cancel(asked.Cancel)
			continue
		}
		inner, cancel := context.WithCancel(ctx)
		c.lock.Lock()
		c.cancels[asked.ID] = cancel
		c.lock.Unlock()
		go c.call(inner, asked)
	}
	return lines.Err()
}

func (c *Caller) cancel(id int64) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if cancel, known := c.cancels[id]; known {
		cancel()
	}
}

func (c *Caller) say(said answer) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if err := c.out.Encode(said); err != nil {
		_ = c.out.Encode(answer{ID: said.ID, Error: fmt.Sprintf("caller: result does not encode: %s", err)})
	}
}

func (c *Caller) call(ctx context.Context, asked request) {
	method := c.client.MethodByName(asked.Method)
	if !method.IsValid() {
		c.say(answer{ID: asked.ID, Error: "caller: the client has no method " + asked.Method})
		return
	}
	arguments, err := arguments(ctx, method.Type(), asked.Params)
	if err != nil {
		c.say(answer{ID: asked.ID, Error: "caller: " + err.Error()})
		return
	}
	c.tell(asked.ID, method.Call(arguments))
}

// arguments decodes the parameters into the types that the method takes; a context comes first where it asks for one.
func arguments(ctx context.Context, method reflect.Type, params []json.RawMessage) ([]reflect.Value, error) {
	var values []reflect.Value
	wanted := method.NumIn()
	if method.IsVariadic() {
		wanted--
	}
	at := 0
	if wanted > 0 && method.In(0) == reflect.TypeOf((*context.Context)(nil)).Elem() {
		values, at = append(values, reflect.ValueOf(ctx)), 1
	}
	if len(params) != wanted-at {
		return nil, fmt.Errorf("%d parameters for %d", len(params), wanted-at)
	}
	for i, param := range params {
		value := reflect.New(method.In(at + i))
		if err := json.Unmarshal(param, value.Interface()); err != nil {
			return nil, fmt.Errorf("parameter %d: %w", i, err)
		}
		values = append(values, value.Elem())
	}
	return values, nil
}

// tell says what a method gave: its error, its result, or each value of its channel.
func (c *Caller) tell(id int64, results []reflect.Value) {
	if len(results) > 0 {
		if err, failed := results[len(results)-1].Interface().(error); failed {
			c.say(answer{ID: id, Error: err.Error()})
			return
		}
	}
	if len(results) == 0 || results[0].Type() == reflect.TypeOf((*error)(nil)).Elem() {
		c.say(answer{ID: id})
		return
	}
	result := results[0]
	if result.Kind() != reflect.Chan {
		encoded, err := json.Marshal(result.Interface())
		if err != nil {
			c.say(answer{ID: id, Error: "caller: result does not encode: " + err.Error()})
			return
		}
		c.say(answer{ID: id, Result: json.RawMessage(encoded)})
		return
	}
	for {
		value, open := result.Recv()
		if !open {
			c.say(answer{ID: id, Closed: true})
			return
		}
		c.say(answer{ID: id, Value: value.Interface()})
	}
}
