/* Reads JSON where it stands: no copies, no memory of its own. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

/* A value: where its text begins and ends. */
typedef struct {
  const char *at;
  const char *end;
} json;

/* Whether this is one JSON value and nothing else, at most 200 brackets deep. The rest may be used only where it is. */
bool json_read(const char *text, size_t length, json *value);

/* What the value begins with, which says what it is: { [ " t f n, a digit or '-'; 0 for no value. */
char json_kind(json value);

/* The member of an object with this name, the last one where there are several; no value (kind 0) where there is none. */
json json_member(json object, const char *name);

/* The first element of a list, and the one after; no value (kind 0) where there is none. */
json json_first(json list);
json json_next(json list, json element);

/* The characters of a string, its escapes resolved, ended by 0. Returns the length, or -1 where it is no string or too long. */
long json_string(json value, char *characters, size_t room);

/* The number; false where it is none. */
bool json_number(json value, double *number);

#endif
