// A guest for `topics`: what comes as a message is checked, added up and sent on by order.js.

import { send } from 'wasi:messaging/producer@0.2.0-draft';
import { Client, Message } from 'wasi:messaging/types@0.2.0-draft';

import { InvalidOrder, route } from './order.js';

export const messagingGuest = {
  // What the guest wants to hear; the configuration's `listen` says what it may.
  configure() {
    return ['orders'];
  },

  // Handles one message. After an error the host tries again; `abandoned` says that this would not help.
  handler(message) {
    try {
      const routed = route(message.data());
      const outgoing = new Message(routed.channel, routed.data);
      outgoing.setContentType('application/json');
      outgoing.addMetadata('key', routed.id);
      send(Client.connect('shop'), outgoing);
    } catch (error) {
      throw error instanceof InvalidOrder ? { tag: 'abandoned', val: error.message } : error;
    } finally {
      message[Symbol.dispose](); // else the guest would keep it
    }
  },
};
