//! Says how punctual a load is, for any generator, by when its requests come: `punctual-server PORT`.
//!
//! Answers every request at once and remembers when it came. `GET /report?RATE` answers with what came since the last
//! report, and forgets it. Request k of an open loop is meant for k / RATE after the first one; how much later it comes is
//! its lateness. The generator's own word is not asked, nor is its clock.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Connections are opened in the first second, which is not what is asked about.
const BEFORE: Duration = Duration::from_secs(1);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

type Arrivals = Rc<RefCell<Vec<Instant>>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: punctual-server PORT")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let arrivals = Arrivals::default();
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let arrivals = Rc::clone(&arrivals);
            // A client that leaves has left.
            tokio::task::spawn_local(async move { serve(stream, &arrivals).await.ok() });
        }
    })
}

/// Requests have no body and are not pipelined: each ends with an empty line, and nothing follows it.
async fn serve(mut stream: TcpStream, arrivals: &Arrivals) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut filled) = ([0; 16_384], 0);
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]).await? {
            0 => break,
            read => filled += read,
        }
        if !buffer[..filled].ends_with(b"\r\n\r\n") {
            continue;
        }
        if let Some(asked) = buffer.strip_prefix(b"GET /report?") {
            let rate: f64 = asked
                .split(|byte| *byte == b' ')
                .next()
                .and_then(|rate| std::str::from_utf8(rate).ok())
                .and_then(|rate| rate.parse().ok())
                .unwrap_or(1.0);
            let said = report(&arrivals.take(), rate);
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", said.len());
            stream.write_all(format!("{head}{said}").as_bytes()).await?;
            break;
        }
        arrivals.borrow_mut().push(Instant::now());
        filled = 0;
        stream.write_all(ANSWER).await?;
    }
    Ok(())
}

fn report(arrivals: &[Instant], rate: f64) -> String {
    let Some(first) = arrivals.first() else {
        return r#"{"requests":0,"seconds":0,"p50_ms":0,"p99_ms":0}"#.to_owned();
    };
    // In seconds, against a schedule that begins with the first arrival; negative where that one was late itself.
    let behind: Vec<f64> = (0_u32..)
        .zip(arrivals)
        .map(|(k, at)| at.duration_since(*first).as_secs_f64() - f64::from(k) / rate)
        .collect();
    let before = ((BEFORE.as_secs_f64() * rate) as usize).min(behind.len() - 1);
    // The most punctual twentieth of the first second says where the schedule begins. Not the single most punctual one: a
    // generator may send its first before its clock runs, to see whether anybody is there.
    let mut first_second = behind[..=before].to_vec();
    first_second.sort_by(f64::total_cmp);
    let punctual = first_second[first_second.len() / 20];
    let mut late: Vec<f64> =
        behind[before..].iter().map(|behind| (behind - punctual).max(0.0) * 1e3).collect();
    late.sort_by(f64::total_cmp);
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
    let seconds = arrivals.last().map_or(0.0, |last| last.duration_since(*first).as_secs_f64());
    format!(
        r#"{{"requests":{},"seconds":{seconds},"p50_ms":{},"p99_ms":{}}}"#,
        arrivals.len(),
        at(0.5),
        at(0.99)
    )
}
