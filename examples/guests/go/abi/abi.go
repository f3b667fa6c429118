//go:build wasip1

// Package abi is the memory that guest and host share, as the canonical ABI of components lays it out: little-endian, with
// addresses of 32 bits.
package abi

import (
	"encoding/binary"
	"unsafe"
)

// alive is what the host has asked for or still reads: the collector must leave it alone. The host is in one call of the guest
// at a time, and asks for the memory of its arguments before it; so each call ends what the one before has left.
var alive, before [][]uint64

// Area is where a result of at most 32 bytes is put.
type Area struct{ words [4]uint64 }

// Pointer is its address.
func (area *Area) Pointer() unsafe.Pointer { return unsafe.Pointer(&area.words) }

func (area *Area) bytes() []byte { return unsafe.Slice((*byte)(area.Pointer()), len(area.words)*8) }

// Byte is the byte at an offset.
func (area *Area) Byte(offset int) byte { return area.bytes()[offset] }

// Uint32 is the number at an offset.
func (area *Area) Uint32(offset int) uint32 { return binary.LittleEndian.Uint32(area.bytes()[offset:]) }

// String is a copy of the text, or list of bytes, whose address and length are at an offset.
func (area *Area) String(offset int) string { return Text(area.Uint32(offset), area.Uint32(offset+4)) }

// SetByte puts a byte at an offset.
func (area *Area) SetByte(offset int, value byte) { area.bytes()[offset] = value }

// SetUint32 puts a number at an offset.
func (area *Area) SetUint32(offset int, value uint32) {
	binary.LittleEndian.PutUint32(area.bytes()[offset:], value)
}

// SetString puts the address and the length of a text at an offset, and keeps the text for the host.
func (area *Area) SetString(offset int, text string) {
	area.SetUint32(offset, Keep([]byte(text)))
	area.SetUint32(offset+4, uint32(len(text)))
}

// Kept is the address of a copy that the host may read after the call has returned.
func (area *Area) Kept() unsafe.Pointer {
	words := append([]uint64(nil), area.words[:]...)
	alive = append(alive, words)
	return unsafe.Pointer(unsafe.SliceData(words))
}

// Keep gives the address of a copy of bytes that the host may read after the call has returned.
func Keep(bytes []byte) uint32 {
	words := room(uint32(len(bytes)))
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), len(bytes)), bytes)
	alive = append(alive, words)
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(words))))
}

// Text is a copy of what the host put at an address.
func Text(address, length uint32) string {
	if length == 0 {
		return ""
	}
	return string(unsafe.Slice((*byte)(at(address)), length))
}

// Bytes is the memory at an address itself, not a copy.
func Bytes(address, length uint32) []byte { return unsafe.Slice((*byte)(at(address)), length) }

// Word is the number at an address.
func Word(address uint32) uint32 { return *(*uint32)(at(address)) }

// Pointer is where the characters of a text are. The text must be alive until the host has read it.
func Pointer(text string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(text)) }

// Length is how many bytes a text has.
func Length(text string) uint32 { return uint32(len(text)) }

// Returned says that a call is about to end: what is alive now may be forgotten when the next one ends.
func Returned() { before, alive = alive, nil }

func room(size uint32) []uint64 { return make([]uint64, size/8+1) }

// at makes a pointer of an address in linear memory, which the collector does not move.
func at(address uint32) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), address) }

// realloc is how the host asks for memory to put lists and texts in. It never asks for more room for one that it has.
//
//go:wasmexport cabi_realloc
func realloc(_ unsafe.Pointer, _, _, size uint32) unsafe.Pointer {
	words := room(size)
	alive = append(alive, words)
	return unsafe.Pointer(unsafe.SliceData(words))
}
