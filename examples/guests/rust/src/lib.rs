//! A guest for Dragoman: what comes as a message is checked, added up and sent on by `order`.

#[cfg(target_arch = "wasm32")]
#[allow(warnings)]
mod bindings;
#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
mod order;
