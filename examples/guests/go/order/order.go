// Package order is what this guest does with an order: it checks it, adds it up, and says where it goes.
//
// Nothing here knows of messages or of WebAssembly: it runs, and is tested, anywhere.
package order

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Routed is an order that was checked.
type Routed struct {
	ID      string // the order's own
	Channel string // where it goes
	Data    []byte // what goes there, as JSON
}

var (
	identity = regexp.MustCompile(`\A[A-Za-z0-9._-]{1,64}\z`)
	country  = regexp.MustCompile(`\A[A-Z]{2}\z`)
)

// Route checks the order in the body of a message, adds it up and says where it goes. The error says why it can't be used.
func Route(data []byte) (Routed, error) {
	var order map[string]any
	if !utf8.Valid(data) || json.Unmarshal(data, &order) != nil || order == nil {
		return Routed{}, errors.New("not an order: expected a JSON object")
	}
	id, ok := order["id"].(string)
	if !ok || !identity.MatchString(id) {
		return Routed{}, errors.New("id: expected 1 to 64 letters, digits, '.', '_' or '-'")
	}
	to, ok := order["country"].(string)
	if !ok || !country.MatchString(to) {
		return Routed{}, errors.New("country: expected two capital letters, as in DE")
	}
	items, cents, err := sums(order["lines"])
	if err != nil {
		return Routed{}, err
	}
	var routed bytes.Buffer
	fmt.Fprintf(&routed, `{"id": %q, "country": %q, "items": %d, "cents": %d}`, id, to, items, cents)
	return Routed{id, "orders." + strings.ToLower(to), routed.Bytes()}, nil
}

func sums(value any) (items, cents int64, err error) {
	lines, ok := value.([]any)
	if !ok || len(lines) < 1 || len(lines) > 1000 {
		return 0, 0, errors.New("lines: expected a list of 1 to 1000")
	}
	for number, value := range lines {
		line, ok := value.(map[string]any)
		if !ok {
			return 0, 0, fmt.Errorf("lines[%d]: expected an object", number)
		}
		quantity, err := whole(line["quantity"], fmt.Sprintf("lines[%d].quantity", number), 1, 1000)
		if err != nil {
			return 0, 0, err
		}
		price, err := whole(line["cents"], fmt.Sprintf("lines[%d].cents", number), 0, 1000000)
		if err != nil {
			return 0, 0, err
		}
		items += quantity
		cents += quantity * price
	}
	return items, cents, nil
}

func whole(value any, name string, least, most float64) (int64, error) {
	number, ok := value.(float64)
	if !ok || number < least || number > most || number != math.Trunc(number) {
		return 0, fmt.Errorf("%s: expected a whole number from %.0f to %.0f", name, least, most)
	}
	return int64(number), nil
}
