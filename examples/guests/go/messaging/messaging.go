//go:build wasip1

// Package messaging is what this guest needs of wit/core, written for the standard Go compiler.
//
// Values cross to the host as the canonical ABI of components lays them out, in 32 bits, while a pointer of Go's has 64:
// so results are read field by field. `wasm-tools component new` refuses the guest if anything here does not fit the WIT.
package messaging

import (
	"errors"
	"fmt"
	"unsafe"

	"guest/abi"
)

// Handler is given each message. An error makes the host try again, and then put the message with the dead letters.
var Handler func(message Message) error

// Client is a connection that the host keeps.
type Client struct{ handle uint32 }

// Message is one that came, or one that is to be sent.
type Message struct{ handle uint32 }

// Connect gives the client of that name, if the configuration grants it.
func Connect(name string) (Client, error) {
	var result abi.Area
	connect(abi.Pointer(name), abi.Length(name), result.Pointer())
	if err := failure(&result); err != nil {
		return Client{}, err
	}
	return Client{result.Uint32(4)}, nil
}

// Close ends the use of this client.
func (client Client) Close() { dropClient(client.handle) }

// Send sends a message, which is used up; it returns when the broker has it.
func (client Client) Send(topic string, message Message) error {
	var result abi.Area
	send(client.handle, abi.Pointer(topic), abi.Length(topic), message.handle, result.Pointer())
	return failure(&result)
}

// New is a message with this body and nothing else.
func New(data []byte) Message {
	return Message{newMessage(abi.Pointer(string(data)), uint32(len(data)))}
}

// Data is the body.
func (message Message) Data() []byte {
	var result abi.Area
	messageData(message.handle, result.Pointer())
	return []byte(result.String(0))
}

// SetContentType sets the media type of the body.
func (message Message) SetContentType(contentType string) {
	setContentType(message.handle, abi.Pointer(contentType), abi.Length(contentType))
}

// AddMetadata adds a pair.
func (message Message) AddMetadata(key, value string) {
	addMetadata(message.handle, abi.Pointer(key), abi.Length(key), abi.Pointer(value), abi.Length(value))
}

// Close gives the message up.
func (message Message) Close() { dropMessage(message.handle) }

// failure is the error of a result that begins the area: a variant after its first word.
func failure(result *abi.Area) error {
	if result.Byte(0) == 0 {
		return nil
	}
	switch result.Byte(4) {
	case 0:
		return errors.New("no answer within the time given")
	case 1:
		return fmt.Errorf("no connection: %s", result.String(8))
	case 2:
		return fmt.Errorf("not permitted: %s", result.String(8))
	default:
		return errors.New(result.String(8))
	}
}

//go:wasmexport wasi:messaging/incoming-handler@0.2.0-draft#handle
func handle(handle uint32) unsafe.Pointer {
	defer abi.Returned()
	message := Message{handle}
	err := Handler(message)
	message.Close()
	var result abi.Area
	if err != nil {
		result.SetByte(0, 1)
		result.SetByte(4, 3) // other
		result.SetString(8, err.Error())
	}
	return result.Kept()
}

//go:wasmimport wasi:messaging/types@0.2.0-draft [static]client.connect
func connect(name unsafe.Pointer, length uint32, result unsafe.Pointer)

//go:wasmimport wasi:messaging/types@0.2.0-draft [resource-drop]client
func dropClient(client uint32)

//go:wasmimport wasi:messaging/types@0.2.0-draft [constructor]message
func newMessage(data unsafe.Pointer, length uint32) uint32

//go:wasmimport wasi:messaging/types@0.2.0-draft [method]message.data
func messageData(message uint32, result unsafe.Pointer)

//go:wasmimport wasi:messaging/types@0.2.0-draft [method]message.set-content-type
func setContentType(message uint32, text unsafe.Pointer, length uint32)

//go:wasmimport wasi:messaging/types@0.2.0-draft [method]message.add-metadata
func addMetadata(message uint32, key unsafe.Pointer, keyLength uint32, value unsafe.Pointer, valueLength uint32)

//go:wasmimport wasi:messaging/types@0.2.0-draft [resource-drop]message
func dropMessage(message uint32)

//go:wasmimport wasi:messaging/producer@0.2.0-draft send
func send(client uint32, topic unsafe.Pointer, length uint32, message uint32, result unsafe.Pointer)
