#include "json.h"

#include <stdint.h>
#include <string.h>

enum { DEEPEST = 200 };

static const json NONE = {NULL, NULL};

static const char *space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
  return at;
}

/* How many bytes the character here has in UTF-8; 0 where it is none. */
static int utf8(const char *at, const char *end) {
  const unsigned char *byte = (const unsigned char *)at;
  int more = byte[0] < 0x80 ? 0 : byte[0] < 0xc2 ? -1 : byte[0] < 0xe0 ? 1 : byte[0] < 0xf0 ? 2 : byte[0] < 0xf5 ? 3 : -1;
  if (more < 0 || end - at <= more) return 0;
  for (int i = 1; i <= more; i++)
    if ((byte[i] & 0xc0) != 0x80) return 0;
  bool overlong = (byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xf0 && byte[1] < 0x90);
  bool outside = (byte[0] == 0xed && byte[1] > 0x9f) || (byte[0] == 0xf4 && byte[1] > 0x8f);
  return overlong || outside ? 0 : more + 1;
}

static int hex(const char *at, const char *end) {
  int value = 0;
  if (end - at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    char c = at[i];
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/* These give the place after what is at `at`, or NULL where it is not what it should be. */

static const char *after_string(const char *at, const char *end) {
  for (at++; at < end && *at != '"';) {
    if (*at == '\\') {
      if (++at == end) return NULL;
      if (*at == 'u' && hex(at + 1, end) < 0) return NULL;
      if (!strchr("\"\\/bfnrtu", *at) || !*at) return NULL;
      at += *at == 'u' ? 5 : 1;
    } else {
      int bytes = (unsigned char)*at < 0x20 ? 0 : utf8(at, end);
      if (!bytes) return NULL;
      at += bytes;
    }
  }
  return at < end ? at + 1 : NULL;
}

static const char *after_digits(const char *at, const char *end) {
  const char *first = at;
  while (at < end && *at >= '0' && *at <= '9') at++;
  return at > first ? at : NULL;
}

static const char *after_number(const char *at, const char *end) {
  if (at < end && *at == '-') at++;
  at = at < end && *at == '0' ? at + 1 : after_digits(at, end);
  if (at && at < end && *at == '.') at = after_digits(at + 1, end);
  if (at && at < end && (*at == 'e' || *at == 'E')) {
    at++;
    if (at < end && (*at == '+' || *at == '-')) at++;
    at = after_digits(at, end);
  }
  return at;
}

static const char *after_word(const char *at, const char *end, const char *word) {
  size_t length = strlen(word);
  return (size_t)(end - at) >= length && !memcmp(at, word, length) ? at + length : NULL;
}

static const char *after_value(const char *at, const char *end, int depth);

static const char *after_brackets(const char *at, const char *end, int depth) {
  char last = *at == '{' ? '}' : ']';
  at = space(at + 1, end);
  if (depth > DEEPEST) return NULL;
  if (at < end && *at == last) return at + 1;
  while (at < end) {
    if (last == '}') {
      if (*at != '"' || !(at = after_string(at, end))) return NULL;
      at = space(at, end);
      if (at == end || *at++ != ':') return NULL;
    }
    if (!(at = after_value(space(at, end), end, depth))) return NULL;
    at = space(at, end);
    if (at < end && *at == last) return at + 1;
    if (at == end || *at != ',') return NULL;
    at = space(at + 1, end);
  }
  return NULL;
}

static const char *after_value(const char *at, const char *end, int depth) {
  if (at == end) return NULL;
  switch (*at) {
    case '{':
    case '[':
      return after_brackets(at, end, depth + 1);
    case '"':
      return after_string(at, end);
    case 't':
      return after_word(at, end, "true");
    case 'f':
      return after_word(at, end, "false");
    case 'n':
      return after_word(at, end, "null");
    default:
      return after_number(at, end);
  }
}

bool json_read(const char *text, size_t length, json *value) {
  const char *end = text + length;
  value->at = space(text, end);
  value->end = after_value(value->at, end, 0);
  return value->end && space(value->end, end) == end;
}

char json_kind(json value) { return value.at ? *value.at : 0; }

static json value_at(const char *at, const char *end) {
  at = space(at, end);
  return (json){at, after_value(at, end, 0)};
}

json json_first(json list) {
  const char *at = space(list.at + 1, list.end);
  return *at == ']' ? NONE : value_at(at, list.end);
}

json json_next(json list, json element) {
  const char *at = space(element.end, list.end);
  return *at == ',' ? value_at(at + 1, list.end) : NONE;
}

json json_member(json object, const char *name) {
  json found = NONE;
  for (const char *at = space(object.at + 1, object.end); *at == '"';) {
    json key = value_at(at, object.end);
    json value = value_at(space(key.end, object.end) + 1, object.end);
    char characters[64];
    if (json_string(key, characters, sizeof characters) == (long)strlen(name) && !strcmp(characters, name)) found = value;
    at = space(value.end, object.end);
    if (*at == ',') at = space(at + 1, object.end);
  }
  return found;
}

static size_t put_utf8(char *out, uint32_t point) {
  if (point < 0x80) return (void)(out[0] = (char)point), 1;
  if (point < 0x800) return (void)(out[0] = (char)(0xc0 | point >> 6)), (void)(out[1] = (char)(0x80 | (point & 0x3f))), 2;
  size_t last = point < 0x10000 ? 2 : 3;
  for (size_t i = last; i > 0; i--, point >>= 6) out[i] = (char)(0x80 | (point & 0x3f));
  out[0] = (char)((last == 2 ? 0xe0 : 0xf0) | point);
  return last + 1;
}

long json_string(json value, char *characters, size_t room) {
  size_t length = 0;
  if (json_kind(value) != '"') return -1;
  for (const char *at = value.at + 1; at < value.end - 1;) {
    if (length + 5 > room) return -1;
    if (*at != '\\') {
      characters[length++] = *at++;
    } else if (at[1] == 'u') {
      uint32_t point = (uint32_t)hex(at + 2, value.end);
      at += 6;
      if (point >= 0xd800 && point < 0xdc00 && at[0] == '\\' && at[1] == 'u') {
        uint32_t second = (uint32_t)hex(at + 2, value.end) - 0xdc00;
        if (second < 0x400) {
          point = 0x10000 + ((point - 0xd800) << 10) + second;
          at += 6;
        }
      }
      length += put_utf8(characters + length, point);
    } else {
      static const char letters[] = "bfnrt", means[] = "\b\f\n\r\t";
      const char *letter = strchr(letters, at[1]);
      characters[length++] = letter ? means[letter - letters] : at[1];
      at += 2;
    }
  }
  characters[length] = 0;
  return (long)length;
}

bool json_number(json value, double *number) {
  char kind = json_kind(value);
  const char *at = value.at;
  double digits = 0, scale = 1;
  int exponent = 0, more = 0;
  if (kind != '-' && (kind < '0' || kind > '9')) return false;
  if (kind == '-') at++;
  for (bool fraction = false; at < value.end && (*at == '.' || (*at >= '0' && *at <= '9')); at++) {
    if (*at == '.') {
      fraction = true;
    } else {
      digits = digits * 10 + (*at - '0');
      exponent -= fraction;
    }
  }
  if (at < value.end) { /* an 'e', perhaps a sign, and digits */
    bool minus = at[1] == '-';
    for (at += at[1] == '-' || at[1] == '+' ? 2 : 1; at < value.end && more < 10000; at++) more = more * 10 + (*at - '0');
    exponent += minus ? -more : more;
  }
  for (int i = exponent < 0 ? -exponent : exponent; i > 0 && scale < 1e300; i--) scale *= 10;
  /* As exact as a double is, for numbers of up to 15 digits and 22 zeros. */
  digits = exponent < 0 ? digits / scale : digits * scale;
  *number = kind == '-' ? -digits : digits;
  return true;
}
