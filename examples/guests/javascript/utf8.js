// UTF-8 to text and back: the engine inside a component has no TextDecoder and no TextEncoder.

/**
 * The text of bytes.
 * @param {Uint8Array} bytes
 * @throws {URIError} they are not UTF-8
 */
export function decode(bytes) {
  let escaped = '';
  for (const byte of bytes) {
    escaped += byte < 128 && byte !== 37 ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return decodeURIComponent(escaped);
}

/**
 * The bytes of a text.
 * @param {string} text
 * @returns {Uint8Array}
 */
export function encode(text) {
  const escaped = encodeURIComponent(text);
  const bytes = [];
  for (let at = 0; at < escaped.length; at += 1) {
    if (escaped[at] === '%') {
      bytes.push(parseInt(escaped.slice(at + 1, at + 3), 16));
      at += 2;
    } else {
      bytes.push(escaped.charCodeAt(at));
    }
  }
  return new Uint8Array(bytes);
}
