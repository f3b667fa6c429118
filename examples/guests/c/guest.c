/* A guest for Dragoman: what comes as a message is checked, added up and sent on by order.c. */
#include <stdlib.h>
#include <string.h>

#include "messaging.h"
#include "order.h"

static void send_on(const routed_order *routed, messaging_result *result) {
  int32_t message = message_new(routed->data, strlen(routed->data));
  message_set_content_type(message, "application/json", strlen("application/json"));
  message_add_metadata(message, "key", strlen("key"), routed->id, strlen(routed->id));
  client_connect("shop", strlen("shop"), result);
  if (result->failed) {
    message_drop(message);
    return;
  }
  int32_t client = result->client;
  producer_send(client, routed->channel, strlen(routed->channel), message, result);
  client_drop(client);
}

/* Handles one message. After an error the host tries again, unless it begins with `rejected:`. */
EXPORT("incoming-handler", "handle") messaging_result *handle(int32_t message) {
  static messaging_result result;
  static char error[96] = "rejected: ";
  routed_order routed;
  messaging_bytes data;
  message_data(message, &data);
  if (order_route(data.at, data.length, &routed, error + strlen("rejected: "))) {
    send_on(&routed, &result);
  } else {
    result.failed = true;
    result.error = (messaging_error){ERROR_OTHER, {error, strlen(error)}};
  }
  if (data.length) free(data.at);
  message_drop(message);
  return &result;
}

/* How the host asks for memory to put lists and texts in. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size;
  (void)align; /* malloc's own alignment is as large as any */
  return size ? realloc(old, size) : (void *)align;
}
