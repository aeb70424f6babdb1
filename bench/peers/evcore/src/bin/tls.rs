//! The same server on evcore's TLS: `tls CERTIFICATE KEY`.

use std::error::Error;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use evcore::bufferevent::{BufferEvent, BufferEventFlags, BufferEventHandler, BufferEventOptions};
use evcore::listener::{ConnListener, ListenerOptions};
use evcore::tls::{TlsIdentity, TlsServerConfig};
use evcore::util::SocketAddress;
use evcore::{Event, EventBase, EventFlags};
use socket2::SockRef;

/// What every connection does; one value serves them all.
struct Server(TlsServerConfig);

impl BufferEventHandler for Server {
    fn readable(&self, connection: &BufferEvent) {
        if connection.forward(connection).is_err() {
            connection.free();
        }
    }

    fn event(&self, connection: &BufferEvent, what: BufferEventFlags) {
        if what.contains(BufferEventFlags::EOF) {
            connection.close();
        } else if what.contains(BufferEventFlags::ERROR) {
            connection.free();
        }
    }

    fn wants_write(&self) -> bool {
        false
    }
}

fn serve(base: &EventBase, fd: OwnedFd, server: &Rc<Server>) -> Result<(), Box<dyn Error>> {
    SockRef::from(&fd).set_tcp_nodelay(true)?;
    let options = BufferEventOptions::CLOSE_ON_FREE;
    let connection = BufferEvent::tls_server(base, fd, &server.0, options)?;
    connection.set_handler(Some(server.clone()));
    connection.enable(EventFlags::READ)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tls CERTIFICATE KEY".into());
    };
    let identity = TlsIdentity::from_pem(&std::fs::read(certificate)?, &std::fs::read(key)?)?;
    let server = Rc::new(Server(TlsServerConfig::builder(identity).build()?));
    let base = EventBase::new()?;
    let address = SocketAddress::Ip((Ipv4Addr::LOCALHOST, 0).into());
    let options = ListenerOptions { backlog: 4096, ..ListenerOptions::default() };
    let listener = ConnListener::bind(&base, &address, options, {
        let base = base.clone();
        move |_, fd, _| {
            if let Err(error) = serve(&base, fd, &server) {
                eprintln!("accepting: {error}");
            }
        }
    })?;
    if let Some(SocketAddress::Ip(address)) = listener.local_address() {
        println!("port {}", address.port());
    }
    // The bench closes our stdin when it is done.
    let stdin = std::io::stdin().as_raw_fd();
    let stop = Event::new(&base, stdin, EventFlags::READ, |event, _| {
        if let Some(base) = event.base() {
            base.loop_break();
        }
    })?;
    stop.add(None)?;
    base.dispatch()?;
    Ok(())
}
