/* The table of cases, against the logic alone: cc -o test_order test_order.c order.c json.c && ./test_order */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "order.h"

static char table[65536], name[200], body[4096], expected[4096];

/* The body of a case: its `data`, or the bytes that its `hex` spells. */
static size_t body_of(json found) {
  json hex = json_member(found, "hex");
  if (!json_kind(hex)) return (size_t)json_string(json_member(found, "data"), body, sizeof body);
  size_t length = (size_t)(hex.end - hex.at - 2) / 2;
  for (size_t i = 0; i < length; i++) {
    char digits[3] = {hex.at[1 + 2 * i], hex.at[2 + 2 * i], 0};
    body[i] = (char)strtol(digits, NULL, 16);
  }
  return length;
}

static bool same_number(json one, json other, const char *member) {
  double first, second;
  return json_number(json_member(one, member), &first) && json_number(json_member(other, member), &second) && first == second;
}

static bool same_text(json one, json other, const char *member) {
  char first[200], second[200];
  return json_string(json_member(one, member), first, sizeof first) > 0 &&
         json_string(json_member(other, member), second, sizeof second) > 0 && !strcmp(first, second);
}

static bool passes(json found) {
  routed_order routed;
  char error[80] = "";
  json order;
  bool good = order_route(body, body_of(found), &routed, error);
  if (json_string(json_member(found, "error"), expected, sizeof expected) > 0) return !good && !strcmp(error, expected);
  json_string(json_member(found, "channel"), expected, sizeof expected);
  if (!good || strcmp(routed.channel, expected) || !json_read(routed.data, strlen(routed.data), &order)) return false;
  found = json_member(found, "order");
  return same_text(order, found, "id") && same_text(order, found, "country") && same_number(order, found, "items") &&
         same_number(order, found, "cents") && json_string(json_member(found, "id"), expected, sizeof expected) > 0 &&
         !strcmp(routed.id, expected);
}

int main(void) {
  FILE *file = fopen("cases.json", "rb");
  json cases;
  int passed = 0, failed = 0;
  if (!file || !json_read(table, fread(table, 1, sizeof table, file), &cases) || json_kind(cases) != '[') {
    puts("cases.json can't be read");
    return 1;
  }
  fclose(file);
  for (json found = json_first(cases); json_kind(found); found = json_next(cases, found)) {
    if (passes(found)) {
      passed++;
    } else {
      failed++;
      json_string(json_member(found, "name"), name, sizeof name);
      printf("failed: %s\n", name);
    }
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed || !passed;
}
