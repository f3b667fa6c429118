// A guest that does what a message says with keys and values, with the log and with its settings.
//
// A body is JSON, an object with `calls`: each the name of a function below and its arguments, for the bucket of that name. What
// they return goes to `answers`, as JSON, or the case and text of the error; then the guest fails, if it is to.

import { get as setting, getAll } from 'wasi:config/store@0.2.0-rc.1';
import { Cas, increment, swap } from 'wasi:keyvalue/atomics@0.2.0-draft2';
import { deleteMany, getMany, setMany } from 'wasi:keyvalue/batch@0.2.0-draft2';
import { open } from 'wasi:keyvalue/store@0.2.0-draft2';
import { log } from 'wasi:logging/logging@0.1.0-draft';
import { publish } from 'wasmcloud:messaging/consumer@0.2.0';

const text = (bytes) => bytes == null ? null : Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
// ASCII, or so many bytes.
const bytes = (value) => typeof value === 'number'
  ? new Uint8Array(value)
  : Uint8Array.from(value, (character) => character.charCodeAt(0));

const functions = {
  get: (bucket, key) => text(bucket.get(key)),
  put: (bucket, key, value) => bucket.set(key, bytes(value)),
  delete: (bucket, key) => bucket.delete(key),
  exists: (bucket, key) => bucket.exists(key),
  keys(bucket, cursor) {
    const page = bucket.listKeys(cursor);
    return [page.keys, page.cursor ?? null];
  },
  add: (bucket, key, delta) => increment(bucket, key, delta),
  // Swaps a value, while another change may come between: what was there, and what is there now.
  swap(bucket, key, value, meanwhile) {
    const cas = Cas.new(bucket, key);
    const before = text(cas.current());
    if (meanwhile !== undefined) {
      bucket.set(key, bytes(meanwhile));
    }
    try {
      swap(cas, bytes(value));
    } catch ({ payload: { tag, val: again } }) {
      if (tag !== 'cas-failed') {
        throw new Error(tag);
      }
      const seen = text(again.current());
      swap(again, bytes(value));
      return [before, seen, text(bucket.get(key))];
    }
    return [before, text(bucket.get(key))];
  },
  get_many: (bucket, ...keys) => getMany(bucket, keys).map((pair) => pair == null ? null : [pair[0], text(pair[1])]),
  put_many: (bucket, pairs) => setMany(bucket, pairs.map(([key, value]) => [key, bytes(value)])),
  delete_many: (bucket, ...keys) => deleteMany(bucket, keys),
  say(_bucket, level, context, message, times = 1) {
    for (let time = 0; time < times; time += 1) {
      log(level, context, message);
    }
  },
  setting: (_bucket, ...names) => [names.map((name) => setting(name) ?? null), Object.fromEntries(getAll())],
};

function answer({ bucket, calls }) {
  try {
    return calls.map(([name, ...more]) => functions[name](open(bucket), ...more) ?? null);
  } catch (error) {
    if (error.payload === undefined) {
      throw error;
    }
    return { case: error.payload.tag, text: error.payload.val ?? null };
  }
}

export const handler = {
  handleMessage({ body }) {
    const order = JSON.parse(text(body));
    const escaped = (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
    const said = JSON.stringify(answer(order)).replace(/[\u0080-\uffff]/g, escaped);
    publish({ subject: 'answers', body: bytes(said), replyTo: undefined });
    if (order.then != null) {
      throw order.then;
    }
  },
};
