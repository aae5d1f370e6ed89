//! Where connections come in, and how that ends.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// The listeners of so many threads, on one port that nobody else listens on.
///
/// The system deals connections out among listeners that share a port (`SO_REUSEPORT`), and lets any process of the same user
/// share it that asks to. So the first listener takes the port for itself, which fails where anybody listens, be it another
/// gateway, and shares it with the others once it has it.
pub(super) fn listen(address: SocketAddr, threads: usize) -> io::Result<Vec<StdListener>> {
    let first = bind(address, false)?;
    first.listen(BACKLOG)?;
    let mut listeners = vec![StdListener::from(first)];
    let address = listeners[0].local_addr()?;
    while listeners.len() < threads {
        listeners.push(another(&listeners[0], address)?);
    }
    Ok(listeners)
}

/// As much as the system grants: what is not taken in at once waits there.
const BACKLOG: i32 = 4096;

fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A listener that shares the port of the first.
#[cfg(target_os = "linux")]
fn another(first: &StdListener, address: SocketAddr) -> io::Result<StdListener> {
    socket2::SockRef::from(first).set_reuse_port(true)?;
    let socket = bind(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Elsewhere the system deals nothing out: all take connections from one queue.
#[cfg(not(target_os = "linux"))]
fn another(first: &StdListener, _: SocketAddr) -> io::Result<StdListener> {
    first.try_clone()
}

/// Has the system drop what asks for a connection (SYN without ACK, the 14th byte of a TCP header: RFC 9293, 3.1), and
/// nothing else. Whoever asked does so again a second later (RFC 6298, 2), of another listener or of none.
///
/// # Errors
///
/// If the system takes no filter; the listener goes on as before.
#[cfg(target_os = "linux")]
pub(super) fn take_no_more(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};

    // Classic BPF, as linux/filter.h and linux/bpf_common.h number it.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(not(target_os = "linux"))]
pub(super) fn take_no_more(_: &TcpListener) -> io::Result<()> {
    Ok(())
}

/// Whether somebody is connecting to this address: what it asked for is granted, and its own word that it knows so has not
/// come (SYN-RECEIVED: RFC 9293, 3.3.2). It may know, and send already. As far as the system tells.
#[cfg(target_os = "linux")]
pub(super) fn is_being_connected_to(address: SocketAddr) -> bool {
    use std::fs::File;
    use std::io::{BufRead as _, BufReader};

    // `sl local_address rem_address st …`, of which the addresses end with a port in hexadecimal digits (proc_net_tcp in the
    // kernel's Documentation/networking). To an IPv6 listener all come as IPv6.
    const SYN_RECEIVED: &str = "03";
    let Ok(table) = File::open(if address.is_ipv4() { "/proc/self/net/tcp" } else { "/proc/self/net/tcp6" })
    else {
        return false;
    };
    let port = format!(":{:04X}", address.port());
    BufReader::new(table).lines().map_while(Result::ok).any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some(SYN_RECEIVED)
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_being_connected_to(_: SocketAddr) -> bool {
    false
}

/// Has the system drop all that comes to the listener but what asks for a connection, so that none is made.
#[cfg(all(test, target_os = "linux"))]
pub(super) fn make_none(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};

    // Lets a packet through if it is a SYN without ACK; see `take_no_more`.
    let filter = [
        SockFilter::new(0x30, 0, 0, 13),
        SockFilter::new(0x54, 0, 0, 0x12),
        SockFilter::new(0x15, 0, 1, 0x02),
        SockFilter::new(0x06, 0, 0, u32::MAX),
        SockFilter::new(0x06, 0, 0, 0),
    ];
    SockRef::from(listener).attach_filter(&filter).expect("the system takes filters");
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream as StdStream};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_is_connecting_is_seen_until_the_connection_is_made() {
        for host in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let listener = listen((host, 0).into(), 1).unwrap().remove(0);
            let address = listener.local_addr().unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            assert!(!is_being_connected_to(address));
            make_none(&listener);
            let mut client = StdStream::connect(address).unwrap();
            assert!(is_being_connected_to(address));
            // What the client writes says that it knows of its connection.
            take_no_more(&listener).unwrap();
            client.write_all(b"ping").unwrap();
            listener.accept().await.unwrap();
            assert!(!is_being_connected_to(address));
        }
    }

    #[tokio::test]
    async fn who_has_a_connection_keeps_it_and_nobody_gets_another() {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let mut early = StdStream::connect(address).unwrap();
        take_no_more(&listener).unwrap();
        let late = StdStream::connect_timeout(&address, Duration::from_millis(100));
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);

        let mut taken = listener.accept().await.unwrap().0.into_std().unwrap();
        drop(listener);
        let late = StdStream::connect(address);
        assert_eq!(late.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        taken.set_nonblocking(false).unwrap();
        let mut bytes = [0; 4];
        early.write_all(b"ping").unwrap();
        taken.read_exact(&mut bytes).unwrap();
        taken.write_all(b"pong").unwrap();
        early.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"pong");
    }

    #[test]
    fn a_port_is_shared_among_threads_and_with_nobody_else() {
        let listeners = listen((Ipv4Addr::LOCALHOST, 0).into(), 2).unwrap();
        let address = listeners[0].local_addr().unwrap();
        for threads in [1, 2] {
            assert_eq!(listen(address, threads).unwrap_err().kind(), ErrorKind::AddrInUse, "{threads}");
        }
        // Each of the two has connections dealt to it.
        let clients: Vec<_> = (0..128).map(|_| StdStream::connect(address).unwrap()).collect();
        let taken = listeners.iter().map(|listener| {
            let mut taken = 0;
            while listener.accept().is_ok() {
                taken += 1;
            }
            taken
        });
        let taken: Vec<usize> = taken.collect();
        assert!(taken.iter().all(|taken| *taken > 0), "{taken:?}");
        assert_eq!(taken.iter().sum::<usize>(), clients.len());
    }
}
