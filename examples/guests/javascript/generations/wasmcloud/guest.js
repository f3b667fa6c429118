// A guest for wasmCloud's interface: what comes as a message is checked, added up and sent on by order.js.

import { publish } from 'wasmcloud:messaging/consumer@0.2.0';

import { InvalidOrder, route } from './order.js';

export const handler = {
  // Handles one message. After an error the host tries again, unless it begins with `rejected:`.
  handleMessage(message) {
    try {
      const routed = route(message.body);
      publish({ subject: routed.channel, body: routed.data, replyTo: undefined });
    } catch (error) {
      throw error instanceof InvalidOrder ? `rejected: ${error.message}` : error;
    }
  },
};
