// A guest for `events`: what comes as a CloudEvent is checked, added up and sent on by order.js.

import { publish } from 'wasi:messaging/pub';

import { InvalidOrder, route } from './order.js';

export const handler = {
  // Handles one event. After an error the host tries again, unless it begins with `rejected:`.
  onReceive(event) {
    try {
      const routed = route(event.data ?? new Uint8Array());
      publish({ tag: 'queue', val: routed.channel }, {
        specversion: '1.0',
        ty: 'order.routed',
        source: 'orders',
        id: event.id,
        data: routed.data,
        datacontenttype: 'application/json',
        extensions: [['partitionkey', routed.id]],
      });
    } catch (error) {
      throw error instanceof InvalidOrder ? { tag: 'unexpected-error', val: `rejected: ${error.message}` } : error;
    }
  },
};
