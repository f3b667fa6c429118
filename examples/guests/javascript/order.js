// What this guest does with an order: checks it, adds it up, and says where it goes.
// Nothing here knows of messages or of WebAssembly: it runs, and is tested, anywhere.

import { decode, encode } from './utf8.js';

/** An order that can't be used; the text says why. */
export class InvalidOrder extends Error {}

/**
 * Checks the order in the body of a message, adds it up and says where it goes.
 * @param {Uint8Array} data the body
 * @returns {{id: string, channel: string, data: Uint8Array}}
 * @throws {InvalidOrder} it can't be used, and why
 */
export function route(data) {
  const order = objectOf(data);
  const id = text(order, 'id', /^[A-Za-z0-9._-]{1,64}$/, "1 to 64 letters, digits, '.', '_' or '-'");
  const country = text(order, 'country', /^[A-Z]{2}$/, 'two capital letters, as in DE');
  const { lines } = order;
  if (!Array.isArray(lines) || lines.length < 1 || lines.length > 1000) {
    throw new InvalidOrder('lines: expected a list of 1 to 1000');
  }
  let items = 0;
  let cents = 0;
  lines.forEach((line, number) => {
    if (!isObject(line)) {
      throw new InvalidOrder(`lines[${number}]: expected an object`);
    }
    const quantity = whole(line.quantity, `lines[${number}].quantity`, 1, 1000);
    cents += quantity * whole(line.cents, `lines[${number}].cents`, 0, 1000000);
    items += quantity;
  });
  const routed = JSON.stringify({ id, country, items, cents });
  return { id, channel: `orders.${country.toLowerCase()}`, data: encode(routed) };
}

function objectOf(data) {
  let value = null;
  try {
    value = JSON.parse(decode(data));
  } catch {
    // Not UTF-8, or not JSON.
  }
  if (!isObject(value)) {
    throw new InvalidOrder('not an order: expected a JSON object');
  }
  return value;
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(order, name, pattern, expected) {
  const value = order[name];
  if (typeof value !== 'string' || !pattern.test(value)) {
    throw new InvalidOrder(`${name}: expected ${expected}`);
  }
  return value;
}

function whole(value, name, least, most) {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new InvalidOrder(`${name}: expected a whole number from ${least} to ${most}`);
  }
  return value;
}
