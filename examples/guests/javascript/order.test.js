// The table of cases, against the logic alone: `node --test`.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { InvalidOrder, route } from './order.js';
import { decode } from './utf8.js';

const table = ['cases.json', '../cases.json'].map((name) => new URL(name, import.meta.url)).find((path) => existsSync(path));

for (const { name, data, hex, error, channel, order } of JSON.parse(readFileSync(table, 'utf8'))) {
  test(name, () => {
    const body = new Uint8Array(Buffer.from(hex ?? data, hex === undefined ? 'utf8' : 'hex'));
    if (error !== undefined) {
      assert.throws(() => route(body), (thrown) => thrown instanceof InvalidOrder && thrown.message === error);
    } else {
      const routed = route(body);
      assert.deepEqual([routed.id, routed.channel, JSON.parse(decode(routed.data))], [order.id, channel, order]);
    }
  });
}
