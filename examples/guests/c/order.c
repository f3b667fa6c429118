#include "order.h"

#include <string.h>

#include "json.h"

/* Texts are put together by hand: printf would bring files along, which a guest has no use for. Each gives the end. */

static char *put(char *at, const char *text) {
  size_t length = strlen(text);
  memcpy(at, text, length + 1);
  return at + length;
}

static char *put_number(char *at, long long number) {
  char digits[24], *first = digits + sizeof digits - 1;
  *first = 0;
  do *--first = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  return put(at, first);
}

static bool refuse(char error[80], const char *reason) {
  put(error, reason);
  return false;
}

/* Where in the lines the mistake is; `name` is a field, or empty. Gives the end. */
static char *put_place(char *at, int number, const char *name) {
  at = put(put_number(put(at, "lines["), number), "]");
  return *name ? put(put(at, "."), name) : at;
}

/* A text of the order that has between `least` and `most` characters, all of which fit. */
static bool text(json order, const char *name, char *found, long least, long most, bool (*fits)(char)) {
  long length = json_string(json_member(order, name), found, 72);
  if (length < least || length > most) return false;
  for (long i = 0; i < length; i++)
    if (!fits(found[i])) return false;
  return true;
}

static bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }

static bool is_of_id(char c) {
  return is_capital(c) || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

/* A whole number of a line. */
static bool whole(json line, int number, const char *name, long least, long most, long *found, char error[80]) {
  double value;
  bool fits = json_number(json_member(line, name), &value) && value >= (double)least && value <= (double)most;
  if (!fits || (double)(long)value != value) {
    char *end = put(put_place(error, number, name), ": expected a whole number from ");
    put_number(put(put_number(end, least), " to "), most);
    return false;
  }
  *found = (long)value;
  return true;
}

bool order_route(const char *data, size_t length, routed_order *routed, char error[80]) {
  json order;
  char country[72];
  if (!json_read(data, length, &order) || json_kind(order) != '{')
    return refuse(error, "not an order: expected a JSON object");
  if (!text(order, "id", routed->id, 1, 64, is_of_id))
    return refuse(error, "id: expected 1 to 64 letters, digits, '.', '_' or '-'");
  if (!text(order, "country", country, 2, 2, is_capital))
    return refuse(error, "country: expected two capital letters, as in DE");

  json lines = json_member(order, "lines");
  int count = 0;
  if (json_kind(lines) == '[')
    for (json line = json_first(lines); json_kind(line); line = json_next(lines, line)) count++;
  if (count < 1 || count > 1000) return refuse(error, "lines: expected a list of 1 to 1000");

  long long items = 0, cents = 0;
  int number = 0;
  for (json line = json_first(lines); json_kind(line); line = json_next(lines, line), number++) {
    long quantity, price;
    if (json_kind(line) != '{') {
      put_place(error, number, "");
      return refuse(error + strlen(error), ": expected an object");
    }
    if (!whole(line, number, "quantity", 1, 1000, &quantity, error)) return false;
    if (!whole(line, number, "cents", 0, 1000000, &price, error)) return false;
    items += quantity;
    cents += (long long)quantity * price;
  }
  char small[3] = {(char)(country[0] | 0x20), (char)(country[1] | 0x20), 0};
  put(put(routed->channel, "orders."), small);
  char *end = put(put(put(routed->data, "{\"id\": \""), routed->id), "\", \"country\": \"");
  end = put_number(put(put(end, country), "\", \"items\": "), items);
  put(put_number(put(end, ", \"cents\": "), cents), "}");
  return true;
}
