//go:build wasip1

// The second example of seed 004, as its document shows it, for `formats` as it was in June 2023.
package main

import msging "guest/messaging"

func init() { msging.Exported = MessagingImpl{} }

// MessagingImpl is the guest.
type MessagingImpl struct{}

// Configure says what the guest hears: the host maintains the long-lived connection to a broker, and subscribes it to the
// channels a, b and c, with no extra configuration. As soon as it knows, it ends this instance.
func (MessagingImpl) Configure() msging.Configuration {
	return msging.Configuration{Channels: []string{"a", "b", "c"}}
}

// Handler is called in a new instance whenever a message comes on one of the channels; the host ends it after.
func (MessagingImpl) Handler(ms []msging.Message) error {
	for _, m := range ms {
		if err := handle(m); err != nil {
			return err
		}
	}
	return nil
}

func handle(m msging.Message) error {
	for _, pair := range m.Metadata { // none: a message without metadata
		if pair[0] != "channel" {
			continue
		}
		switch pair[1] {
		case "a":
			// unsubscribe from channel a
			if err := msging.Update(msging.Configuration{Channels: []string{"b", "c"}}); err != nil {
				return err
			}
			// abandon message
			return m.Abandon()
		case "b":
			client, err := msging.Connect("some-broker")
			if err != nil {
				return err
			}
			// receive from channel d
			_, err = client.TryReceive("d", 100)
			// disconnect client
			client.Disconnect()
			if err != nil {
				return err
			}
			// complete message
			return m.Complete()
		case "c":
			client, err := msging.Connect("some-broker")
			if err != nil {
				return err
			}
			// send message to channel d
			err = client.Send("d", msging.Message{Data: "hello from guest", Format: msging.Raw})
			client.Disconnect()
			if err != nil {
				return err
			}
			// complete message
			return m.Complete()
		}
	}
	return nil // a message from an unknown channel
}

// main is never called: the host calls the handler.
func main() {}
