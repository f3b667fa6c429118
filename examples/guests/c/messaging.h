/* What this guest needs of wit/core. Values cross to the host as the canonical ABI of components lays them out;
   `wasm-tools component new` refuses the guest if anything here does not fit the WIT. */
#ifndef MESSAGING_H
#define MESSAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, function) \
  __attribute__((import_module("wasi:messaging/" interface "@0.2.0-draft"), import_name(function)))
#define EXPORT(interface, function) __attribute__((export_name("wasi:messaging/" interface "@0.2.0-draft#" function)))

/* Bytes. What the host gives is the guest's to free. */
typedef struct {
  char *at;
  size_t length;
} messaging_bytes;

typedef enum { ERROR_TIMEOUT, ERROR_CONNECTION, ERROR_PERMISSION_DENIED, ERROR_OTHER } messaging_kind;

typedef struct {
  uint8_t kind; /* one of messaging_kind; all but the first have a text */
  messaging_bytes text;
} messaging_error;

/* result<_, error>, and result<client, error>, which has the client where the error would be. */
typedef struct {
  uint8_t failed;
  union {
    int32_t client;
    messaging_error error;
  };
} messaging_result;

/* Clients and messages are numbers that the host knows: each that was got must be dropped or, a message, sent. */
IMPORT("types", "[static]client.connect") void client_connect(const char *name, size_t length, messaging_result *result);
IMPORT("types", "[resource-drop]client") void client_drop(int32_t client);
IMPORT("types", "[constructor]message") int32_t message_new(const char *data, size_t length);
IMPORT("types", "[method]message.data") void message_data(int32_t message, messaging_bytes *data);
IMPORT("types", "[method]message.set-content-type")
void message_set_content_type(int32_t message, const char *content_type, size_t length);
IMPORT("types", "[method]message.add-metadata")
void message_add_metadata(int32_t message, const char *key, size_t key_length, const char *value, size_t value_length);
IMPORT("types", "[resource-drop]message") void message_drop(int32_t message);
IMPORT("producer", "send")
void producer_send(int32_t client, const char *topic, size_t length, int32_t message, messaging_result *result);

#endif
