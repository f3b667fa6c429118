/* wit/formats as it was in June 2023, as the canonical ABI of components lays it out; `wasm-tools component new` refuses the
   guest if anything here does not fit the WIT. */
#ifndef MESSAGING_H
#define MESSAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, function) \
  __attribute__((import_module("wasi:messaging/" interface "@0.2.0-draft"), import_name(function)))
#define EXPORT(interface, function) __attribute__((export_name("wasi:messaging/" interface "@0.2.0-draft#" function)))

typedef struct {
  char *at;
  size_t length;
} text;

typedef struct {
  text key, value;
} pair;

typedef enum { FORMAT_CLOUDEVENTS, FORMAT_HTTP, FORMAT_AMQP, FORMAT_MQTT, FORMAT_KAFKA, FORMAT_RAW } format_spec;

typedef struct {
  text data;
  uint8_t format; /* one of format_spec */
  _Alignas(4) uint8_t has_metadata; /* an option is aligned as what it may have */
  struct {
    pair *at;
    size_t length;
  } metadata;
} message;

/* result<client, error> and result<_, error>: both are numbers. */
typedef struct {
  uint8_t failed;
  uint32_t value;
} result;

/* result<option<list<message>>, error> */
typedef struct {
  uint8_t failed;
  union {
    uint32_t error;
    struct {
      uint8_t any;
      message *at;
      size_t length;
    };
  };
} received;

/* result<guest-configuration, error> */
typedef struct {
  uint8_t failed;
  text *channels;
  size_t count;
  uint8_t has_extensions;
  pair *extensions;
  size_t extension_count;
} guest_configuration;

IMPORT("messaging-types", "connect") void connect(const char *name, size_t length, result *outcome);
IMPORT("messaging-types", "disconnect") void disconnect(uint32_t client);
IMPORT("producer", "send")
void producer_send(uint32_t client, const char *channel, size_t length, const message *ms, size_t count, result *outcome);
IMPORT("consumer", "subscribe-try-receive")
void subscribe_try_receive(uint32_t client, const char *channel, size_t length, uint32_t milliseconds, received *ms);
IMPORT("consumer", "update-guest-configuration")
void update_guest_configuration(const text *channels, size_t count, int32_t has_extensions, const pair *extensions,
                                size_t extension_count, result *outcome);
/* A record is passed field by field. */
IMPORT("consumer", "complete-message")
void complete_message(const char *data, size_t length, int32_t format, int32_t has_metadata, const pair *metadata,
                      size_t metadata_count, result *outcome);
IMPORT("consumer", "abandon-message")
void abandon_message(const char *data, size_t length, int32_t format, int32_t has_metadata, const pair *metadata,
                     size_t metadata_count, result *outcome);

#endif
