//go:build wasip1

// Package messaging is wit/formats as it was in June 2023, written for the standard Go compiler.
//
// Values cross to the host as the canonical ABI of components lays them out, in 32 bits, while a pointer of Go's has 64:
// so results are read field by field. `wasm-tools component new` refuses the guest if anything here does not fit the WIT.
package messaging

import (
	"unsafe"

	"guest/abi"
)

// Guest is what the host calls.
type Guest interface {
	Configure() Configuration
	Handler(messages []Message) error
}

// Exported is the guest that the host calls.
var Exported Guest

// Configuration is what the guest wants to hear.
type Configuration struct {
	Channels []string
}

// FormatSpec says what the names in a message's metadata mean.
type FormatSpec uint8

// The formats, in the order of the WIT.
const (
	CloudEvents FormatSpec = iota
	HTTP
	AMQP
	MQTT
	Kafka
	Raw
)

// Message is a record; without metadata it has none at all.
type Message struct {
	Data     string
	Format   FormatSpec
	Metadata [][2]string
}

// Client is a connection that the host keeps.
type Client uint32

// Error is a number that the host knows.
type Error uint32

// Error is its text.
func (e Error) Error() string {
	var result abi.Area
	trace(uint32(e), result.Pointer())
	return result.String(0)
}

// Connect gives the client of that name, if the configuration grants it.
func Connect(name string) (Client, error) {
	var result abi.Area
	connect(abi.Pointer(name), abi.Length(name), result.Pointer())
	return Client(result.Uint32(4)), failure(&result)
}

// Disconnect ends the use of this client.
func (client Client) Disconnect() { disconnect(uint32(client)) }

// Send sends messages; it returns when the broker has them all.
func (client Client) Send(channel string, messages ...Message) error {
	var result abi.Area
	list := newList(len(messages), 24)
	for index, message := range messages {
		list.setText(24*index, message.Data)
		list.setByte(24*index+8, byte(message.Format))
		if message.Metadata != nil {
			list.setByte(24*index+12, 1)
			list.setWords(24*index+16, pairs(message.Metadata), uint32(len(message.Metadata)))
		}
	}
	send(uint32(client), abi.Pointer(channel), abi.Length(channel), list.address, uint32(len(messages)), result.Pointer())
	return failure(&result)
}

// TryReceive subscribes for a while, and waits at most so long for messages.
func (client Client) TryReceive(channel string, milliseconds uint32) ([]Message, error) {
	var result abi.Area
	tryReceive(uint32(client), abi.Pointer(channel), abi.Length(channel), milliseconds, result.Pointer())
	if err := failure(&result); err != nil || result.Byte(4) == 0 {
		return nil, err
	}
	return messagesAt(result.Uint32(8), result.Uint32(12)), nil
}

// Update replaces what the guest hears.
func Update(configuration Configuration) error {
	var result abi.Area
	update(texts(configuration.Channels), uint32(len(configuration.Channels)), 0, 0, 0, result.Pointer())
	return failure(&result)
}

// Complete accepts a message now.
func (message Message) Complete() error { return message.settle(complete) }

// Abandon rejects a message now.
func (message Message) Abandon() error { return message.settle(abandon) }

func (message Message) settle(how func(unsafe.Pointer, uint32, uint32, uint32, uint32, uint32, unsafe.Pointer)) error {
	var result abi.Area
	some := uint32(0)
	if message.Metadata != nil {
		some = 1
	}
	data, length := abi.Pointer(message.Data), abi.Length(message.Data)
	how(data, length, uint32(message.Format), some, pairs(message.Metadata), uint32(len(message.Metadata)), result.Pointer())
	return failure(&result)
}

//go:wasmexport wasi:messaging/messaging-guest@0.2.0-draft#configure
func configure() unsafe.Pointer {
	defer abi.Returned()
	var result abi.Area
	channels := Exported.Configure().Channels
	result.SetUint32(4, texts(channels))
	result.SetUint32(8, uint32(len(channels)))
	return result.Kept()
}

//go:wasmexport wasi:messaging/messaging-guest@0.2.0-draft#handler
func handler(address, count uint32) unsafe.Pointer {
	defer abi.Returned()
	var result abi.Area
	if err := Exported.Handler(messagesAt(address, count)); err != nil {
		result.SetByte(0, 1)
		number, _ := err.(Error) // an error of the guest's own has no number: the host then knows no text
		result.SetUint32(4, uint32(number))
	}
	return result.Kept()
}

func failure(result *abi.Area) error {
	if result.Byte(0) == 0 {
		return nil
	}
	return Error(result.Uint32(4))
}

func messagesAt(address, count uint32) []Message {
	messages := make([]Message, count)
	for index := range messages {
		at := address + 24*uint32(index)
		messages[index].Data = abi.Text(abi.Word(at), abi.Word(at+4))
		messages[index].Format = FormatSpec(abi.Word(at + 8))
		if abi.Word(at+12)&0xff == 0 {
			continue
		}
		messages[index].Metadata = make([][2]string, abi.Word(at+20))
		for number := range messages[index].Metadata {
			pair := abi.Word(at+16) + 16*uint32(number)
			key, value := abi.Text(abi.Word(pair), abi.Word(pair+4)), abi.Text(abi.Word(pair+8), abi.Word(pair+12))
			messages[index].Metadata[number] = [2]string{key, value}
		}
	}
	return messages
}

// list is memory for records that the host reads.
type list struct {
	bytes   []byte
	address uint32
}

func newList(count, size int) list {
	bytes := make([]byte, count*size+1)
	address := abi.Keep(bytes)
	return list{abi.Bytes(address, uint32(len(bytes))), address}
}

func (l list) setByte(offset int, value byte) { l.bytes[offset] = value }

func (l list) setWords(offset int, words ...uint32) {
	for index, word := range words {
		for shift := range 4 {
			l.bytes[offset+4*index+shift] = byte(word >> (8 * shift))
		}
	}
}

func (l list) setText(offset int, text string) {
	l.setWords(offset, abi.Keep([]byte(text)), uint32(len(text)))
}

func texts(all []string) uint32 {
	made := newList(len(all), 8)
	for index, text := range all {
		made.setText(8*index, text)
	}
	return made.address
}

func pairs(all [][2]string) uint32 {
	made := newList(len(all), 16)
	for index, pair := range all {
		made.setText(16*index, pair[0])
		made.setText(16*index+8, pair[1])
	}
	return made.address
}

//go:wasmimport wasi:messaging/messaging-types@0.2.0-draft connect
func connect(name unsafe.Pointer, length uint32, result unsafe.Pointer)

//go:wasmimport wasi:messaging/messaging-types@0.2.0-draft disconnect
func disconnect(client uint32)

//go:wasmimport wasi:messaging/messaging-types@0.2.0-draft trace
func trace(err uint32, result unsafe.Pointer)

//go:wasmimport wasi:messaging/producer@0.2.0-draft send
func send(client uint32, channel unsafe.Pointer, length, messages, count uint32, result unsafe.Pointer)

//go:wasmimport wasi:messaging/consumer@0.2.0-draft subscribe-try-receive
func tryReceive(client uint32, channel unsafe.Pointer, length, milliseconds uint32, result unsafe.Pointer)

//go:wasmimport wasi:messaging/consumer@0.2.0-draft update-guest-configuration
func update(channels, count, hasExtensions, extensions, extensionCount uint32, result unsafe.Pointer)

//go:wasmimport wasi:messaging/consumer@0.2.0-draft complete-message
func complete(data unsafe.Pointer, length, format, hasMetadata, metadata, count uint32, result unsafe.Pointer)

//go:wasmimport wasi:messaging/consumer@0.2.0-draft abandon-message
func abandon(data unsafe.Pointer, length, format, hasMetadata, metadata, count uint32, result unsafe.Pointer)
