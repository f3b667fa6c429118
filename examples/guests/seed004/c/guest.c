/* The second example of seed 004, as its document shows it, for `formats` as it was in June 2023. */
#include <stdlib.h>
#include <string.h>

#include "messaging.h"

#define TEXT(characters) ((text){(char *)(characters), sizeof(characters) - 1})

static bool is(text one, const char *other) { return one.length == strlen(other) && !memcmp(one.at, other, one.length); }

/* Settles a message; a record is passed field by field. */
static void complete(const message *m, result *outcome) {
  complete_message(m->data.at, m->data.length, m->format, m->has_metadata, m->metadata.at, m->metadata.length, outcome);
}

static void abandon(const message *m, result *outcome) {
  abandon_message(m->data.at, m->data.length, m->format, m->has_metadata, m->metadata.at, m->metadata.length, outcome);
}

static void handle(const message *m, result *outcome) {
  text channel = {0};
  if (!m->has_metadata) return; /* a message without metadata */
  for (size_t i = 0; i < m->metadata.length; i++)
    if (is(m->metadata.at[i].key, "channel")) channel = m->metadata.at[i].value;

  if (is(channel, "a")) {
    /* unsubscribe from channel a */
    text left[] = {TEXT("b"), TEXT("c")};
    update_guest_configuration(left, 2, 0, NULL, 0, outcome);
    /* abandon message */
    if (!outcome->failed) abandon(m, outcome);
  } else if (is(channel, "b")) {
    connect("some-broker", strlen("some-broker"), outcome);
    if (outcome->failed) return;
    uint32_t client = outcome->value;
    /* receive from channel d */
    received msgs;
    subscribe_try_receive(client, "d", 1, 100, &msgs);
    /* disconnect client */
    disconnect(client);
    /* complete message */
    if (msgs.failed)
      *outcome = (result){true, msgs.error};
    else
      complete(m, outcome);
  } else if (is(channel, "c")) {
    connect("some-broker", strlen("some-broker"), outcome);
    if (outcome->failed) return;
    uint32_t client = outcome->value;
    /* send message to channel d */
    message hello = {.data = TEXT("hello from guest"), .format = FORMAT_RAW};
    producer_send(client, "d", 1, &hello, 1, outcome);
    disconnect(client);
    /* complete message */
    if (!outcome->failed) complete(m, outcome);
  }
  /* else a message from an unknown channel */
}

/* The host maintains the long-lived connection to a broker, and subscribes it to the channels a, b and c, with no extra
   configuration. As soon as it knows, it ends this instance. */
EXPORT("messaging-guest", "configure") guest_configuration *configure(void) {
  static text channels[] = {TEXT("a"), TEXT("b"), TEXT("c")};
  static guest_configuration configuration = {.channels = channels, .count = 3};
  return &configuration;
}

/* Whenever a message comes on one of the channels, the host calls this in a new instance, and ends it after. */
EXPORT("messaging-guest", "handler") result *handler(const message *ms, size_t count) {
  static result outcome;
  outcome.failed = false;
  for (size_t i = 0; i < count && !outcome.failed; i++) handle(&ms[i], &outcome);
  return &outcome; /* what the host gave goes with the instance */
}

/* How the host asks for memory to put lists and texts in. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size;
  return size ? realloc(old, size) : (void *)align;
}
