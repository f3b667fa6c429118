// A guest for `formats`: what comes as a list of messages is checked, added up and sent on by order.js.
//
// In this generation a guest can't make an error of its own. An order that can't be used goes to `orders.rejected` with
// the reason, and is done with; an error that the host gives goes back to it, and those messages are tried again.

import { Client } from 'wasi:messaging/messaging-types@0.2.0-draft';
import { send } from 'wasi:messaging/producer@0.2.0-draft';

import { InvalidOrder, route } from './order.js';

export const messagingGuest = {
  // What the guest wants to hear; the configuration's `listen` says what it may.
  configure() {
    return { channels: ['orders'] };
  },

  // Handles a batch of messages of one channel: one `send` for each channel that some of them go to.
  handler(messages) {
    const outgoing = new Map();
    for (const message of messages) {
      const [channel, made] = routed(message);
      outgoing.set(channel, [...(outgoing.get(channel) ?? []), made]);
    }
    for (const [channel, made] of outgoing) {
      send(Client.connect('shop'), channel, made); // a client is used up by it
    }
  },
};

// Where it goes, and what. What is the host's in the metadata of a message, the host does not send on.
function routed(message) {
  try {
    const { channel, data, id } = route(message.data);
    return [channel, { data, format: 'raw', metadata: [['content-type', 'application/json'], ['key', id]] }];
  } catch (error) {
    if (!(error instanceof InvalidOrder)) {
      throw error;
    }
    return ['orders.rejected', { ...message, metadata: [...(message.metadata ?? []), ['reason', error.message]] }];
  }
}
