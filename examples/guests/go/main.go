//go:build wasip1

// A guest for Dragoman: what comes as a message is checked, added up and sent on by the package order.
package main

import (
	"fmt"

	"guest/messaging"
	"guest/order"
)

func init() { messaging.Handler = handle }

// handle handles one message. After an error the host tries again, unless it begins with `rejected:`.
func handle(message messaging.Message) error {
	routed, err := order.Route(message.Data())
	if err != nil {
		return fmt.Errorf("rejected: %w", err)
	}
	client, err := messaging.Connect("shop")
	if err != nil {
		return err
	}
	defer client.Close()
	outgoing := messaging.New(routed.Data)
	outgoing.SetContentType("application/json")
	outgoing.AddMetadata("key", routed.ID)
	return client.Send(routed.Channel, outgoing)
}

// main is never called: the host calls the handler.
func main() {}
