// In the shape of wasmCloud's counters: settings say which link and where to, a body says how much more.

import { get } from 'wasi:config/runtime@0.2.0-draft';
import { increment } from 'wasi:keyvalue/atomics@0.2.0-draft';
import { open } from 'wasi:keyvalue/store@0.2.0-draft';
import { log } from 'wasi:logging/logging@0.1.0-draft';
import { CallTargetInterface, setLinkName } from 'wasmcloud:bus/lattice@1.0.0';
import { publish } from 'wasmcloud:messaging/consumer@0.2.0';

const text = (bytes) => String.fromCharCode(...bytes);
const bytes = (characters) => Uint8Array.from(characters, (character) => character.charCodeAt(0));

export const handler = {
  handleMessage({ subject, body }) {
    const link = get('link');
    if (link != null) {
      const targets = ['store', 'atomics'].map((name) => new CallTargetInterface('wasi', 'keyvalue', name));
      setLinkName(link, targets);
    }
    const bucket = open('');
    bucket.set('last', body);
    const count = increment(bucket, subject, Number(text(body)));
    log('info', 'counter', `${subject} is ${count}`);
    const { keys } = bucket.listKeys(0);
    const said = JSON.stringify({ count: Number(count), last: text(bucket.get('last')), keys: keys.sort() });
    publish({ subject: get('counts'), body: bytes(said), replyTo: undefined });
  },
};
