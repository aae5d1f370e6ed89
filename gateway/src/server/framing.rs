//! Where in its messages a connection of HTTP/1 is, as far as the housekeeping has to know.
//!
//! hyper reads ahead and does not tell what it holds: a part of the next header that came along with a request would rest
//! there unseen, under the timeout of a connection at rest. And it takes in what a recipient may take in, such as a line
//! feed alone, which another server on the way may have read otherwise. So the bytes are followed on their way to it.
//! What comes of it decides over timeouts and over whether a connection is kept, never over what a message says: for that
//! there is one parser.

/// Follows the bytes of a connection from message to message.
#[derive(Clone, Debug, Default)]
pub(super) struct Framing {
    place: Place,
    line: Line,
    head: Head,
    /// Messages that are whole.
    whole: u64,
    ambiguous: Option<u64>,
    foreign: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    Head,
    /// So many bytes of a body are yet to come.
    Body(u64),
    ChunkSize,
    /// So many bytes of a chunk are yet to come, and of the line's end after it.
    Chunk(u64),
    Trailers,
    /// Nothing that is known here, and so nothing that is kept.
    Lost,
}

/// What is known of the header under way.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// The request line has come.
    begun: bool,
    length: Option<u64>,
    lengths: u32,
    chunked: bool,
    unknown: bool,
}

impl Framing {
    /// These bytes come next.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.place {
                Place::Lost => return,
                Place::Body(left) => {
                    bytes = self.skip(left, bytes, Place::Body, Place::Head);
                    self.whole += u64::from(matches!(self.place, Place::Head));
                }
                Place::Chunk(left) => bytes = self.skip(left, bytes, Place::Chunk, Place::ChunkSize),
                Place::Head | Place::ChunkSize | Place::Trailers => {
                    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                        return self.line.push(bytes);
                    };
                    self.line.push(&bytes[..end]);
                    bytes = &bytes[end + 1..];
                    self.place = self.on_line();
                    self.line = Line::default();
                }
            }
        }
    }

    /// Whether a header has begun and is not complete.
    pub(super) fn is_in_header(&self) -> bool {
        matches!(self.place, Place::Head) && (self.head.begun || !self.line.is_blank())
    }

    /// Whether the last message is whole and no other has begun.
    pub(super) fn is_between_messages(&self) -> bool {
        matches!(self.place, Place::Head) && !self.is_in_header()
    }

    /// The first message, counted from 1, in which something came that others may read otherwise (RFC 9112, 2.2 and 6.3): what
    /// follows it is not to be trusted to begin where we think.
    pub(super) const fn ambiguous(&self) -> Option<u64> {
        self.ambiguous
    }

    /// Whether the connection began with a line that is none of HTTP (RFC 9112, 2.3 and 3): three words or more, of which the last
    /// is no version. Two words are a request from before there were versions.
    pub(super) const fn is_foreign(&self) -> bool {
        self.foreign
    }

    fn note_ambiguity(&mut self, is_ambiguous: bool) {
        if is_ambiguous && self.ambiguous.is_none() {
            self.ambiguous = Some(self.whole + 1);
        }
    }

    fn skip<'b>(
        &mut self,
        left: u64,
        bytes: &'b [u8],
        within: impl Fn(u64) -> Place,
        after: Place,
    ) -> &'b [u8] {
        let some = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - some as u64;
        self.place = if left == 0 { after } else { within(left) };
        &bytes[some..]
    }

    /// Where the line that has just ended leads.
    fn on_line(&mut self) -> Place {
        self.note_ambiguity(self.line.last != Some(b'\r'));
        let Self { line, head, .. } = self;
        match self.place {
            Place::Head => {
                match (line.is_blank(), head.begun) {
                    // Lines before a request are none of it (RFC 9112, 2.2).
                    (true, false) => Place::Head,
                    (true, true) => {
                        let head = std::mem::take(head);
                        self.note_ambiguity(head.lengths > 1 || (head.lengths > 0 && head.chunked));
                        let body = head.body();
                        self.whole += u64::from(matches!(body, Place::Head));
                        body
                    }
                    (false, false) => {
                        self.foreign = self.whole == 0 && line.is_foreign();
                        head.begun = true;
                        Place::Head
                    }
                    (false, true) => {
                        head.on_field(line);
                        Place::Head
                    }
                }
            }
            Place::ChunkSize => match line.chunk_size() {
                Some(0) => Place::Trailers,
                Some(size) => Place::Chunk(size.saturating_add(2)),
                None => Place::Lost,
            },
            Place::Trailers if line.is_blank() => {
                self.whole += 1;
                Place::Head
            }
            place => place,
        }
    }
}

impl Head {
    fn on_field(&mut self, line: &Line) {
        let Some((name, value)) = line.field() else { return };
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            self.length = line.is_whole().then(|| number(value, 10)).flatten();
            self.unknown |= self.length.is_none();
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
            self.unknown |= !self.chunked;
        }
    }

    /// What follows it.
    fn body(self) -> Place {
        match self.length {
            _ if self.unknown => Place::Lost,
            _ if self.chunked => Place::ChunkSize,
            None | Some(0) => Place::Head,
            Some(length) => Place::Body(length),
        }
    }
}

/// `HTTP/1.1` and the return behind it.
const TAIL: usize = 9;

/// Of a line, as much as says how a message is framed: more than `content-length` and the largest number take.
const KEPT: usize = 48;

#[derive(Clone, Copy, Debug)]
struct Line {
    kept: [u8; KEPT],
    length: usize,
    last: Option<u8>,
    /// Its last bytes, a version's worth and the return behind it.
    tail: [u8; TAIL],
}

impl Default for Line {
    fn default() -> Self {
        Self { kept: [0; KEPT], length: 0, last: None, tail: [0; TAIL] }
    }
}

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(room) = self.kept.get_mut(self.length..) {
            let some = room.len().min(bytes.len());
            room[..some].copy_from_slice(&bytes[..some]);
        }
        self.length += bytes.len();
        let end = &bytes[bytes.len().saturating_sub(TAIL)..];
        self.tail.copy_within(end.len().., 0);
        self.tail[TAIL - end.len()..].copy_from_slice(end);
        self.last = bytes.last().copied().or(self.last);
    }

    /// Whether there is nothing but its end.
    fn is_blank(&self) -> bool {
        self.length == 0 || (self.length == 1 && self.last == Some(b'\r'))
    }

    /// As a request line, see [`Framing::is_foreign`].
    fn is_foreign(&self) -> bool {
        let end = self.tail.strip_suffix(b"\r").unwrap_or(&self.tail[1..]);
        let words = self.kept().split(|byte| *byte == b' ').count();
        words > 2 && !end.starts_with(b"HTTP/")
    }

    fn is_whole(&self) -> bool {
        self.length <= KEPT
    }

    fn kept(&self) -> &[u8] {
        &self.kept[..self.length.min(KEPT)]
    }

    fn field(&self) -> Option<(&[u8], &[u8])> {
        let colon = self.kept().iter().position(|byte| *byte == b':')?;
        let (name, value) = self.kept().split_at(colon);
        Some((name, value[1..].trim_ascii()))
    }

    /// The number before an extension.
    fn chunk_size(&self) -> Option<u64> {
        let size = self.kept().split(|byte| *byte == b';').next()?;
        number(size.trim_ascii(), 16)
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In one piece and byte by byte it must come to the same.
    fn after(text: &str) -> Framing {
        let (mut whole, mut slow) = (Framing::default(), Framing::default());
        whole.follow(text.as_bytes());
        text.as_bytes().chunks(1).for_each(|byte| slow.follow(byte));
        assert_eq!(whole.is_in_header(), slow.is_in_header(), "{text:?}");
        assert_eq!(whole.ambiguous(), slow.ambiguous(), "{text:?}");
        assert_eq!(whole.is_foreign(), slow.is_foreign(), "{text:?}");
        whole
    }

    const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    const POST: &str = "POST / HTTP/1.1\r\nContent-Length: 5\r\nhost: a\r\n\r\nhello";
    const CHUNKED: &str =
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nGE\n\r\n2\r\nab\r\n0\r\nx: y\r\n\r\n";

    #[test]
    fn a_header_that_is_not_complete_is_seen_behind_any_message() {
        for before in ["", "\r\n", GET, POST, CHUNKED] {
            assert!(!after(before).is_in_header(), "{before:?}");
            for part in ["G", "GET / HT", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: a\r\n"] {
                assert!(after(&format!("{before}{part}")).is_in_header(), "{before:?} {part:?}");
            }
            for whole in [GET, POST, CHUNKED] {
                let followed = after(&format!("{before}{whole}"));
                assert!(!followed.is_in_header() && followed.ambiguous().is_none(), "{before:?} {whole:?}");
            }
        }
    }

    #[test]
    fn a_body_that_is_not_complete_is_no_header() {
        for message in [POST, CHUNKED] {
            let body = message.find("\r\n\r\n").unwrap() + 4;
            for end in body..message.len() {
                assert!(!after(&message[..end]).is_in_header(), "{:?}", &message[..end]);
            }
        }
    }

    #[test]
    fn what_others_may_read_otherwise_is_noted() {
        for text in [
            "GET / HTTP/1.1\nhost: a\n\n",
            "GET / HTTP/1.1\r\nhost: a\n\r\n",
            "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\n\r\n",
        ] {
            assert_eq!(after(text).ambiguous(), Some(1), "{text:?}");
            for (before, messages) in
                [(GET, 1), (POST, 1), (CHUNKED, 1), (&*[CHUNKED, POST, "\r\n", GET].concat(), 3)]
            {
                assert_eq!(
                    after(&format!("{before}{text}")).ambiguous(),
                    Some(messages + 1),
                    "{before:?} {text:?}"
                );
            }
        }
        // A body may say what it likes.
        let body = "POST / HTTP/1.1\r\ncontent-length: 8\r\n\r\na\nb\n\nc\nd";
        assert_eq!(after(body).ambiguous(), None);
    }

    #[test]
    fn who_begins_with_no_line_of_http_is_known() {
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(100));
        for text in
            ["INVALID CONNECTION PREFACE\r\n\r\n", "a b c\n", "GET / HTPP/1.1\r\n", "HELO HTTP/ you\r\n"]
        {
            assert!(after(text).is_foreign(), "{text:?}");
            // Later on a connection it is a request that is none.
            assert!(!after(&format!("{GET}{text}")).is_foreign(), "{text:?}");
        }
        for text in [
            GET,
            POST,
            &long,
            "GET /x\r\n",
            "GET / HTTP/1.0\n",
            "GET /x y HTTP/1.1\r\n",
            "PRI * HTTP/2.0\r\n",
        ] {
            assert!(!after(text).is_foreign(), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_not_followed() {
        for text in [
            "POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\nGET / HT",
            "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\nGET / HT",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nGET / HT",
        ] {
            assert!(!after(text).is_in_header(), "{text:?}");
        }
    }
}
