//! What happens to a gateway in a bad week, all of it at once.

use std::fs;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::program::Program;
use crate::stop::Stop;

/// Between two restarts, reloads or rotations.
const BETWEEN: Duration = Duration::from_millis(400);

/// Connections of one crowd: more than the gateway has places.
pub(crate) const CROWD: usize = 200;

/// How long a crowd stays.
const CROWD_STAYS: Duration = Duration::from_millis(200);

/// An upstream that is killed over and over, in the middle of its requests and politely in turn. Returns how often, and the one
/// that serves at the end.
pub(crate) fn restarts(stop: &Stop, mut upstream: Program, start: impl Fn() -> Program) -> (u64, Program) {
    let _guard = stop.on_panic();
    let mut count = 0;
    while !stop.is_set() {
        thread::sleep(BETWEEN);
        upstream.ends(if count % 2 == 0 { Signal::SIGKILL } else { Signal::SIGTERM });
        // Nobody listens for a while.
        thread::sleep(BETWEEN / 4);
        upstream = start();
        count += 1;
    }
    (count, upstream)
}

/// The log is opened again, as after its rotation. Returns how often.
pub(crate) fn rotations(stop: &Stop, gateway: &Program) -> u64 {
    let _guard = stop.on_panic();
    let mut count = 0;
    while !stop.is_set() {
        gateway.answers(Signal::SIGUSR1, "the log goes on");
        count += 1;
        thread::sleep(BETWEEN);
    }
    count
}

/// The file says one thing and another in turn, and the gateway reads it again each time. Returns how often.
pub(crate) fn reloads(stop: &Stop, gateway: &Program, file: &Path, texts: &[String]) -> u64 {
    let _guard = stop.on_panic();
    let mut count = 0;
    for text in texts.iter().cycle() {
        if stop.is_set() {
            break;
        }
        fs::write(file, text).unwrap();
        gateway.answers(Signal::SIGHUP, "reloaded");
        count += 1;
        thread::sleep(BETWEEN);
    }
    count
}

/// Crowds of connections without a request: a third says nothing, a third begins one, a third begins HTTP/2. Returns how many
/// connections there were.
pub(crate) fn floods(stop: &Stop, gateway: SocketAddr) -> u64 {
    let _guard = stop.on_panic();
    let mut count = 0;
    while !stop.is_set() {
        let mut crowd = Vec::new();
        for word in
            [&b""[..], b"GET /steady HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"].iter().cycle().take(CROWD)
        {
            let mut stream = TcpStream::connect(gateway).unwrap();
            // It may have been closed for the next one by now.
            let _ = stream.write_all(word);
            crowd.push(stream);
        }
        count += CROWD as u64;
        thread::sleep(CROWD_STAYS);
    }
    count
}

/// Clients that dally, some of each kind at once. Returns how many there were.
pub(crate) fn slow_clients(stop: &Stop, gateway: SocketAddr) -> u64 {
    let kinds = [header_in_pieces, half_a_body, unread_answer, leaves_at_once];
    thread::scope(|scope| {
        let each = kinds.iter().cycle().take(2 * kinds.len()).map(|dallies| {
            scope.spawn(move || {
                let _guard = stop.on_panic();
                let mut count = 0;
                while !stop.is_set() {
                    // What it is answered, if anything, and how it ends is its own affair.
                    let _ = TcpStream::connect(gateway).and_then(|stream| dallies(stream, stop));
                    count += 1;
                }
                count
            })
        });
        each.collect::<Vec<_>>().into_iter().map(|slow| slow.join().unwrap()).sum()
    })
}

const PAUSE: Duration = Duration::from_millis(20);

/// A byte now and then.
fn header_in_pieces(mut stream: TcpStream, stop: &Stop) -> io::Result<()> {
    for byte in b"GET /dallied HTTP/1.1\r\nhost: soak\r\nconnection: close\r\n\r\n" {
        stream.write_all(&[*byte])?;
        if stop.is_set() {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    reads_until_end(stream, stop)
}

/// One byte of ten, and no more until the gateway has had enough.
fn half_a_body(mut stream: TcpStream, stop: &Stop) -> io::Result<()> {
    stream.write_all(b"POST /dallied HTTP/1.1\r\nhost: soak\r\ncontent-length: 10\r\n\r\n1")?;
    reads_until_end(stream, stop)
}

/// A long answer of which nothing is read for longer than the gateway has patience.
fn unread_answer(mut stream: TcpStream, stop: &Stop) -> io::Result<()> {
    stream.write_all(b"GET /dallied?long HTTP/1.1\r\nhost: soak\r\n\r\n")?;
    for _ in 0..75 {
        if stop.is_set() {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    reads_until_end(stream, stop)
}

/// Asks, and is gone within its answer.
fn leaves_at_once(mut stream: TcpStream, _: &Stop) -> io::Result<()> {
    stream.write_all(b"GET /dallied?long HTTP/1.1\r\nhost: soak\r\n\r\n")?;
    stream.read_exact(&mut [0; 100])?;
    thread::sleep(5 * PAUSE);
    Ok(())
}

fn reads_until_end(mut stream: TcpStream, stop: &Stop) -> io::Result<()> {
    stream.set_read_timeout(Some(PAUSE))?;
    let mut buffer = vec![0; 64 * 1024];
    while !stop.is_set() {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

/// A healthy upstream whose long answers are too long for the buffers between it and a client that does not read.
pub(crate) struct LongAnswers(Arc<Mutex<Vec<TcpStream>>>);

/// Bytes of an answer that is asked for as `?long`, and of any other.
const ANSWER: [usize; 2] = [16 << 20, 64 << 10];

impl LongAnswers {
    /// Answers there as long as the test lasts.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let (listener, open) = (TcpListener::bind(address).unwrap(), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&open);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut open = kept.lock().unwrap();
                // A connection that has ended is not kept.
                open.retain(|stream: &TcpStream| stream.peer_addr().is_ok());
                open.push(stream.try_clone().unwrap());
                thread::spawn(move || answers(BufReader::new(stream)));
            }
        });
        Self(open)
    }

    /// Ends all connections.
    pub(crate) fn hangs_up(&self) {
        for stream in self.0.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Answers until the connection ends.
fn answers(mut stream: BufReader<TcpStream>) -> io::Result<()> {
    let content = vec![b'x'; 64 << 10];
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            if stream.read_line(&mut head)? == 0 {
                return stream.get_mut().shutdown(Shutdown::Both);
            }
            if let Some((name, value)) = head[start..].split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        stream.read_exact(&mut vec![0; length])?;
        let [long, short] = ANSWER;
        let size = if head.contains("?long ") { long } else { short };
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n")?;
        for _ in 0..size / content.len() {
            stream.get_mut().write_all(&content)?;
        }
    }
}
