/* What this guest does with an order: checks it, adds it up, and says where it goes.
   Nothing here knows of messages or of WebAssembly: it runs, and is tested, anywhere. */
#ifndef ORDER_H
#define ORDER_H

#include <stdbool.h>
#include <stddef.h>

/* An order that was checked. Each text is ended by 0. */
typedef struct {
  char id[72];      /* the order's own */
  char channel[16]; /* where it goes */
  char data[256];   /* what goes there, as JSON */
} routed_order;

/* Checks the order in the body of a message, adds it up and says where it goes.
   Returns false where it can't be used; then `error`, of at least 80 bytes, says why. */
bool order_route(const char *data, size_t length, routed_order *routed, char error[80]);

#endif
