//! The second example of seed 004, as its document shows it, for `formats` as it was in June 2023.

#[allow(warnings)]
mod bindings;

use bindings::exports::wasi::messaging::messaging_guest::{Error, Guest};
use bindings::wasi::messaging::consumer;
use bindings::wasi::messaging::messaging_types::{connect, disconnect, FormatSpec, GuestConfiguration, Message};
use bindings::wasi::messaging::producer;

struct MyGuest;

impl Guest for MyGuest {
    fn configure() -> Result<GuestConfiguration, Error> {
        // The host maintains the long-lived connection to a broker, and subscribes it to the channels a, b and c, with
        // no extra configuration. As soon as it knows, it ends this instance.
        Ok(channels(&["a", "b", "c"]))
    }

    fn handler(ms: Vec<Message>) -> Result<(), Error> {
        // Whenever a message comes on one of the channels, the host calls this in a new instance, and ends it after.
        for m in ms {
            let channel = match &m.metadata {
                Some(metadata) => metadata.iter().find(|(k, _)| k == "channel").map(|(_, v)| v.clone()),
                None => None, // a message without metadata
            };
            match channel.as_deref() {
                Some("a") => {
                    // unsubscribe from channel a
                    consumer::update_guest_configuration(&channels(&["b", "c"]))?;
                    // abandon message
                    consumer::abandon_message(&m)?;
                }
                Some("b") => {
                    // receive from channel d
                    let client = connect("some-broker")?;
                    let _msgs = consumer::subscribe_try_receive(client, "d", 100)?;
                    // disconnect client
                    disconnect(client);
                    // complete message
                    consumer::complete_message(&m)?;
                }
                Some("c") => {
                    // send message to channel d
                    let client = connect("some-broker")?;
                    let message = Message { data: b"hello from guest".to_vec(), format: FormatSpec::Raw, metadata: None };
                    producer::send(client, "d", &[message])?;
                    disconnect(client);
                    // complete message
                    consumer::complete_message(&m)?;
                }
                _ => {} // a message from an unknown channel
            }
        }
        Ok(())
    }
}

fn channels(names: &[&str]) -> GuestConfiguration {
    GuestConfiguration { channels: names.iter().map(|name| name.to_string()).collect(), extensions: None }
}

bindings::export!(MyGuest with_types_in bindings);
