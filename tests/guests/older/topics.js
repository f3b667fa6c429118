// A guest of `topics` as of May 2024 that does what a message says, as `topics/app.py` does.

import { setSubscriptions } from 'wasi:messaging/consumer@0.2.0-draft';
import { send } from 'wasi:messaging/producer@0.2.0-draft';
import { Client, Message } from 'wasi:messaging/types@0.2.0-draft';

import { bytes, done, text } from './text.js';

const sent = (topic, body) => send(Client.connect('default'), new Message(topic, bytes(body)));

export const messagingGuest = {
  configure: () => ['in'],
  handler(message) {
    const functions = {
      echo: () => ({ topic: message.topic() }),
      send: ({ topic, body }) => sent(topic, body),
      set_subscriptions: ({ topics }) => setSubscriptions(topics),
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
