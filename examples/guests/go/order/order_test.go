package order

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// Each order is routed, or refused with the reason, as the table of cases says.
func TestEachCase(t *testing.T) {
	table, err := os.ReadFile("../cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Data, Hex, Error, Channel string
		Order                           map[string]any
	}
	if err := json.Unmarshal(table, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			body := []byte(c.Data)
			if c.Hex != "" {
				body, _ = hex.DecodeString(c.Hex)
			}
			routed, err := Route(body)
			if c.Error != "" {
				if err == nil || err.Error() != c.Error {
					t.Fatalf("got the error %v; expected %q", err, c.Error)
				}
				return
			}
			var sent map[string]any
			if err != nil || json.Unmarshal(routed.Data, &sent) != nil || !reflect.DeepEqual(sent, c.Order) {
				t.Fatalf("got %s and the error %v; expected %v", routed.Data, err, c.Order)
			}
			if routed.Channel != c.Channel || routed.ID != c.Order["id"] {
				t.Fatalf("got %s for %s; expected %s", routed.Channel, routed.ID, c.Channel)
			}
		})
	}
}
