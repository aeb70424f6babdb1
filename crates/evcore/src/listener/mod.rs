//! Listeners: sockets that accept connections (`evconnlistener`).

mod options;
mod path;
mod stream;

pub use options::ListenerOptions;
pub use stream::{AcceptCallback, AcceptErrorCallback, ConnListener};
