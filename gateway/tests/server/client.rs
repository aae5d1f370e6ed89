//! A client that sends and reads bytes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Fields after a chunked body.
    pub(crate) trailers: String,
}

impl Answer {
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Nothing in a test takes that long; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(20);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: gateway.test\r\n\r\n")).answer(false)
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let read = self.stream.read(&mut chunk)?;
        self.buffer.extend(&chunk[..read]);
        Ok(read)
    }

    pub(crate) fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.buffer.drain(..end + 2).collect();
                return String::from_utf8(line).map_err(io::Error::other);
            }
            if self.more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub(crate) fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads an answer; `head` says that it is one to HEAD.
    pub(crate) fn answer(&mut self, head: bool) -> Answer {
        self.try_answer(head).expect("an answer")
    }

    pub(crate) fn try_answer(&mut self, to_head: bool) -> io::Result<Answer> {
        let mut answer = self.try_head()?;
        let bodiless = to_head || matches!(answer.status, 100..200 | 204 | 304);
        if bodiless {
        } else if answer.value("transfer-encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(self.line()?.trim(), 16).map_err(io::Error::other)?;
                if size == 0 {
                    break;
                }
                answer.body.extend(self.take(size)?);
                self.take(2)?;
            }
            loop {
                match self.line()?.as_str() {
                    "\r\n" => break,
                    trailer => answer.trailers += trailer,
                }
            }
        } else if let Some(length) = answer.value("content-length") {
            answer.body = self.take(length.parse().unwrap())?;
        } else {
            answer.body = self.rest();
        }
        Ok(answer)
    }

    pub(crate) fn try_head(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head += &self.line()?;
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok(Answer { status: status.expect("a status"), head, ..Answer::default() })
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more().unwrap() > 0 {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the other side closes without another byte. A reset counts.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.more() {
            Ok(read) => read == 0 && self.buffer.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}
