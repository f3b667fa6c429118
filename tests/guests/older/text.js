// What the guests here share: ASCII to bytes and back, and what of an error the host gave.

export const text = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
export const bytes = (characters) => Uint8Array.from(characters, (character) => character.charCodeAt(0));

// Does what an order says, a JSON object with the name of one of the functions; any other text was only heard.
export function done(body, functions, told) {
  if (body[0] !== '{') {
    return 'heard';
  }
  const { do: name, catch: caught, ...order } = JSON.parse(body);
  try {
    return functions[name](order) ?? null;
  } catch (error) {
    if (!caught) {
      throw error;
    }
    return told(error);
  }
}
