// In the shape of wasmCloud's echo: what wants a reply gets its body back, of anything else it only says something.

import { log } from 'wasi:logging/logging@0.1.0-draft';
import { publish } from 'wasmcloud:messaging/consumer@0.2.0';

export const handler = {
  handleMessage({ subject, body, replyTo }) {
    if (replyTo == null) {
      log('warn', 'echo', `nobody wants ${subject} back`);
    } else {
      publish({ subject: replyTo, body, replyTo: undefined });
    }
  },
};
