// A guest of wasmCloud's interface 0.1 that does what a message says, as `wasmcloud/app.py` does.

import { publish, request, requestMulti } from 'wasmcloud:messaging/consumer@0.1.0';

import { bytes, done, text } from './text.js';

const sent = (subject, body) => publish({ subject, body: bytes(body), replyTo: undefined });

export const handler = {
  handleMessage({ subject, body: order, replyTo }) {
    const functions = {
      echo: () => ({ subject }),
      publish: ({ to, body }) => sent(to, body),
      ask: ({ to }) => [
        request(to, bytes('question'), 20_000),
        ...requestMulti(to, bytes('question'), 20_000, 1),
      ].map(({ body }) => text(body)),
      answer: ({ texts }) => texts.forEach((one) => sent(replyTo, one)),
      fail: ({ text: why }) => {
        throw why;
      },
      crash: () => publish('no message'), // what is thrown would be an error, for any text is one
    };
    const result = done(text(order ?? []), functions, ({ payload }) => ({ text: payload }));
    sent('answers', JSON.stringify(result));
  },
};
