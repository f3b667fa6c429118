// A guest of `core` as of October 2024, and of wasmCloud's 0.3, that does what a message says, as `scripted/app.py` does.

import { send } from 'wasi:messaging/producer@0.2.0-draft';
import { RequestOptions, reply, request } from 'wasi:messaging/request-reply@0.2.0-draft';
import { Client, Message } from 'wasi:messaging/types@0.2.0-draft';

import { bytes, done, text } from './text.js';

const sent = (topic, body) => send(Client.connect('default'), topic, new Message(bytes(body)));

export const incomingHandler = {
  getTopics: () => ['in'],
  handle(message) {
    const functions = {
      echo: () => ({ topic: message.topic() }),
      send: ({ topic, body }) => sent(topic, body),
      // This form of `request` takes no topic: it goes where the message came from.
      ask: () => {
        const options = new RequestOptions();
        options.setTimeoutMs(20_000);
        options.setExpectedReplies(1);
        message.setData(bytes('question'));
        return request(Client.connect('default'), message, options).map((found) => text(found.data()));
      },
      answer: ({ texts }) => texts.forEach((one) => reply(message, new Message(bytes(one)))),
      fail: ({ case: tag, text: val }) => {
        throw { tag, val };
      },
      crash: () => {
        throw new Error('on purpose');
      },
    };
    const result = done(text(message.data()), functions, ({ payload }) => ({ case: payload.tag, text: payload.val }));
    sent('answers', JSON.stringify(result));
    message[Symbol.dispose]();
  },
};
