//! What the world `messaging-core` exports.

use crate::bindings::exports::wasi::messaging::incoming_handler::Guest;
use crate::bindings::wasi::messaging::producer;
use crate::bindings::wasi::messaging::types::{Client, Error, Message};
use crate::order;

struct Orders;

impl Guest for Orders {
    /// Handles one message. After an error the host tries again, unless it begins with `rejected:`; then it is a dead letter.
    fn handle(message: Message) -> Result<(), Error> {
        let routed = order::route(&message.data()).map_err(|reason| Error::Other(format!("rejected: {reason}")))?;
        let outgoing = Message::new(&routed.data);
        outgoing.set_content_type("application/json");
        outgoing.add_metadata("key", &routed.id);
        producer::send(&Client::connect("shop")?, &routed.channel, outgoing)
    }
}

crate::bindings::export!(Orders with_types_in crate::bindings);
