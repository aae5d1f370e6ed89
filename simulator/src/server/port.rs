//! An address that a service keeps while nobody listens on it.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps until they are accepted, as far as it lets us.
const BACKLOG: i32 = 4_096;

/// An address that stays taken while nobody listens on it.
///
/// Who closes a listener so that connections are refused, and wants it back, may find that another has it. A second
/// socket that is bound and never listens holds the place: with `SO_REUSEADDR` on both, a listener fits in beside it.
pub(super) struct Port {
    address: SocketAddr,
    _holder: Socket,
}

impl Port {
    /// Takes an address; port 0 stands for any that is free.
    pub(super) fn take(address: SocketAddr) -> io::Result<Self> {
        let holder = bind(address)?;
        let address = holder.local_addr()?.as_socket().unwrap_or(address);
        Ok(Self { address, _holder: holder })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn listen(&self) -> io::Result<TcpListener> {
        let socket = bind(self.address)?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
