//! The same server on evcore, in Rust: `evcore-bench echo|sink`.

use std::error::Error;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use evcore::bufferevent::{BufferEvent, BufferEventFlags, BufferEventHandler, BufferEventOptions};
use evcore::listener::{ConnListener, ListenerOptions};
use evcore::util::SocketAddress;
use evcore::{Event, EventBase, EventFlags};
use socket2::SockRef;

/// What every connection does with its input; one value serves them all.
struct Server {
    sink: bool,
}

impl Server {
    fn take(&self, connection: &BufferEvent) -> Result<(), Box<dyn Error>> {
        if self.sink {
            let mut input = connection.input();
            let length = input.len();
            input.drain(length)?;
        } else {
            connection.forward(connection)?;
        }
        Ok(())
    }
}

impl BufferEventHandler for Server {
    fn readable(&self, connection: &BufferEvent) {
        if self.take(connection).is_err() {
            connection.free();
        }
    }

    fn event(&self, connection: &BufferEvent, what: BufferEventFlags) {
        if what.intersects(BufferEventFlags::EOF | BufferEventFlags::ERROR) {
            connection.free();
        }
    }

    fn wants_write(&self) -> bool {
        false
    }
}

fn serve(base: &EventBase, fd: OwnedFd, server: &Rc<Server>) -> Result<(), Box<dyn Error>> {
    SockRef::from(&fd).set_tcp_nodelay(true)?;
    let connection = BufferEvent::socket(base, Some(fd), BufferEventOptions::CLOSE_ON_FREE)?;
    connection.set_handler(Some(server.clone()));
    connection.enable(EventFlags::READ)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let base = EventBase::new()?;
    let server = Rc::new(Server { sink: std::env::args().nth(1).as_deref() == Some("sink") });
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
