// A guest for Dragoman: what comes as a message is checked, added up and sent on by order.js.

import { send } from 'wasi:messaging/producer@0.2.0-draft';
import { Client, Message } from 'wasi:messaging/types@0.2.0-draft';

import { InvalidOrder, route } from './order.js';

export const incomingHandler = {
  // Handles one message. After an error the host tries again, unless it begins with `rejected:`.
  handle(message) {
    try {
      const routed = route(message.data());
      const outgoing = new Message(routed.data);
      outgoing.setContentType('application/json');
      outgoing.addMetadata('key', routed.id);
      const client = Client.connect('shop');
      send(client, routed.channel, outgoing);
      client[Symbol.dispose]();
    } catch (error) {
      throw error instanceof InvalidOrder ? { tag: 'other', val: `rejected: ${error.message}` } : error;
    } finally {
      message[Symbol.dispose](); // else the guest would keep it
    }
  },
};
