// In the shape of wasmCloud's task workers, and of who gives them work: a setting says which of the two it is.

import { get } from 'wasi:config/store@0.2.0-rc.1';
import { publish, request } from 'wasmcloud:messaging/consumer@0.2.0';

export const handler = {
  handleMessage({ body, replyTo }) {
    const worker = get('worker');
    if (worker != null) {
      const { body: done } = request(worker, body, 20_000);
      publish({ subject: get('results'), body: done, replyTo: undefined });
    } else if (replyTo == null) {
      throw 'rejected: a task must say where its reply goes';
    } else {
      publish({ subject: replyTo, body: Uint8Array.from(body).reverse(), replyTo: undefined });
    }
  },
};
