//! Clients that know what became of each of their requests.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::stop::Stop;

/// A request without an answer for so long is lost: far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two requests of a client that rests.
const REST: Duration = Duration::from_millis(40);

/// Descriptions of what went wrong that are kept.
const MOST_TOLD: usize = 8;

/// What became of requests.
#[derive(Default)]
pub(crate) struct Tally {
    /// By status.
    pub(crate) answered: BTreeMap<u16, u64>,
    /// Sent, and not a byte came back.
    pub(crate) lost: u64,
    /// The answer began and did not end, or was that of another request.
    pub(crate) broken: u64,
    /// Sent once more, for the connection that had rested was being closed.
    pub(crate) again: u64,
    pub(crate) connections: u64,
    /// What the first of those that were lost or broken met.
    pub(crate) told: Vec<String>,
}

impl Tally {
    pub(crate) fn requests(&self) -> u64 {
        self.answered.values().sum::<u64>() + self.lost + self.broken
    }

    /// Answers with other statuses than those.
    pub(crate) fn others(&self, expected: &[u16]) -> u64 {
        self.answered.iter().filter(|(status, _)| !expected.contains(status)).map(|(_, count)| count).sum()
    }

    fn tells(&mut self, what: String) {
        if self.told.len() < MOST_TOLD {
            self.told.push(what);
        }
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |mut sum, tally| {
            for (status, count) in tally.answered {
                *sum.answered.entry(status).or_default() += count;
            }
            sum.lost += tally.lost;
            sum.broken += tally.broken;
            sum.again += tally.again;
            sum.connections += tally.connections;
            sum.told.extend(tally.told);
            sum.told.truncate(MOST_TOLD);
            sum
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, broken, again, connections, .. } = self;
        write!(to, "{} requests on {connections} connections: ", self.requests())?;
        for (status, count) in &self.answered {
            write!(to, "{count} answered {status}, ")?;
        }
        write!(to, "{lost} lost, {broken} broken, {again} sent again")
    }
}

/// One client, with one connection at a time, which it keeps as long as it may.
pub(crate) struct Client {
    address: SocketAddr,
    path: &'static str,
    /// Whether it rests between its requests. A server may close a connection that rests, and whoever asks just then asks again
    /// (RFC 9112 §9.3.1). One that never rests has no such excuse for the server.
    rests: bool,
    connection: Option<BufReader<TcpStream>>,
    tally: Tally,
}

/// How a request ended.
enum End {
    Answered {
        status: u16,
        body: Vec<u8>,
        stays: Option<BufReader<TcpStream>>,
    },
    /// Not a byte came back.
    Nothing(String),
    /// Something came back, and no whole answer.
    Broken(String),
}

impl Client {
    pub(crate) fn new(address: SocketAddr, path: &'static str, rests: bool) -> Self {
        Self { address, path, rests, connection: None, tally: Tally::default() }
    }

    /// Asks over and over, and returns what came of it.
    pub(crate) fn asks_until(mut self, stop: &Stop) -> Tally {
        let _guard = stop.on_panic();
        let mut number = 0;
        while !stop.is_set() {
            self.asks(number);
            number += 1;
            if self.rests {
                thread::sleep(REST);
            }
        }
        self.tally
    }

    /// One request, and one with a body every other time. Returns the status, where there is one.
    pub(crate) fn asks(&mut self, number: usize) -> Option<u16> {
        let size = if number.is_multiple_of(2) { 0 } else { number % 3_000 };
        let request = self.request(number, size);
        let kept = self.connection.take();
        let may_ask_again = self.rests && kept.is_some();
        let mut end = self.exchange(kept, &request);
        if may_ask_again && matches!(end, End::Nothing(_)) {
            self.tally.again += 1;
            end = self.exchange(None, &request);
        }
        match end {
            End::Answered { status, body, stays } => {
                self.connection = stays;
                if status == 200 && !self.is_own(&body, size) {
                    self.tally.broken += 1;
                    let body = String::from_utf8_lossy(&body).into_owned();
                    self.tally.tells(format!("{} with {size} bytes was answered {body}", self.path));
                } else {
                    *self.tally.answered.entry(status).or_default() += 1;
                }
                return Some(status);
            }
            End::Nothing(why) => {
                self.tally.lost += 1;
                self.tally.tells(format!("{}: lost: {why}", self.path));
            }
            End::Broken(why) => {
                self.tally.broken += 1;
                self.tally.tells(format!("{}: broken: {why}", self.path));
            }
        }
        None
    }

    /// Head and content of a request, in one piece.
    fn request(&self, number: usize, size: usize) -> Vec<u8> {
        let method = if size == 0 { "GET" } else { "POST" };
        let (path, key) = (self.path, number % 7);
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: soak\r\nx-api-key: key-{key}\r\n").into_bytes();
        if size > 0 {
            request.extend_from_slice(format!("content-length: {size}\r\n").as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.resize(request.len() + size, b'x');
        request
    }

    /// Whether an upstream's answer is that to this request: it names the upstream and the size of the body that it was sent.
    fn is_own(&self, body: &[u8], size: usize) -> bool {
        serde_json::from_slice(body).is_ok_and(|answer: Value| {
            answer["upstream"] == self.path.trim_start_matches('/') && answer["body_bytes"] == size
        })
    }

    fn exchange(&mut self, kept: Option<BufReader<TcpStream>>, request: &[u8]) -> End {
        let connection = kept.map_or_else(|| self.connects(), Ok);
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(error) => return End::Nothing(format!("no connection: {error}")),
        };
        // What cannot be sent to its end may be answered all the same.
        let sent = connection.get_mut().write_all(request);
        let mut first = [0];
        match (connection.read(&mut first), sent) {
            (Ok(1..), _) => {}
            (Ok(_), Ok(())) => return End::Nothing("the connection ended".to_owned()),
            (Ok(_), Err(error)) | (Err(error), _) => return End::Nothing(error.to_string()),
        }
        match rest_of_answer(&mut connection) {
            Ok((status, body, stays)) => End::Answered { status, body, stays: stays.then_some(connection) },
            Err(error) => End::Broken(error.to_string()),
        }
    }

    fn connects(&mut self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        self.tally.connections += 1;
        Ok(BufReader::new(stream))
    }
}

/// An answer behind its first byte: status, body, and whether the connection stays.
fn rest_of_answer(from: &mut BufReader<TcpStream>) -> io::Result<(u16, Vec<u8>, bool)> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let (mut head, mut length, mut stays) = (String::new(), None, true);
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head)? == 0 {
            return Err(wrong("the connection ended within the head"));
        }
    }
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok(),
            "connection" => stays = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| wrong(&format!("no status: {head}")))?;
    let length: usize = length.ok_or_else(|| wrong(&format!("no length: {head}")))?;
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok((status, body, stays))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A whole answer of an upstream that was sent so many bytes.
    fn answer(received: usize) -> String {
        let body = format!("{{\"upstream\":\"steady\",\"body_bytes\":{received}}}");
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    /// A server that answers so, on one connection after the other, and ends each at the request behind its last answer, or else
    /// right behind that.
    fn answering(connections: Vec<Vec<String>>, reads_on: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for answers in connections {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                for answer in answers {
                    reads_head(&mut stream);
                    stream.get_mut().write_all(answer.as_bytes()).unwrap();
                }
                if reads_on {
                    reads_head(&mut stream);
                }
            }
        });
        address
    }

    fn reads_head(stream: &mut BufReader<TcpStream>) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
    }

    /// What becomes of so many requests, one after the other.
    fn asked(address: SocketAddr, rests: bool, requests: usize) -> Tally {
        let mut client = Client::new(address, "/steady", rests);
        for _ in 0..requests {
            client.asks(0);
        }
        client.tally
    }

    #[test]
    fn a_request_without_an_answer_is_lost() {
        // The second on its connection, and the only one.
        let tally = asked(answering(vec![vec![answer(0)], vec![]], true), false, 3);
        assert_eq!((tally.lost, tally.answered[&200], tally.again), (2, 1, 0), "{:?}", tally.told);
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(asked(nobody, false, 1).lost, 1);
    }

    #[test]
    fn a_client_that_rested_asks_once_more() {
        let tally = asked(answering(vec![vec![answer(0)], vec![answer(0)], vec![]], true), true, 3);
        // The second is answered at its second sending, and the third is lost at its own.
        assert_eq!((tally.answered[&200], tally.again, tally.lost), (2, 2, 1), "{:?}", tally.told);
        assert_eq!(tally.connections, 3);
    }

    #[test]
    fn an_answer_that_breaks_off_or_is_anothers_is_broken() {
        let half = answer(0)[..60].to_owned();
        for wrong in [half, answer(7), "HTTP/1.1 200 OK\r\n".to_owned()] {
            let tally = asked(answering(vec![vec![wrong]], false), false, 1);
            assert_eq!((tally.broken, tally.requests()), (1, 1), "{:?}", tally.told);
        }
    }
}
