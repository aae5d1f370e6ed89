//! The body of an answer: whole, broken off, or in pieces.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gateway::Timestamp;
use hyper::body::{Body, Frame, SizeHint};

use super::connection::Fate;
use super::service::WaitingCaller;
use super::timers::{Sleep, Timer};

/// In how many pieces a body trickles.
const PIECES: u32 = 10;

/// The body of an answer.
pub(super) struct AnswerBody {
    /// What is not written yet.
    rest: Bytes,
    delivery: Delivery,
}

enum Delivery {
    /// At once.
    Whole,
    /// Its beginning was all.
    Never,
    /// Half of it, and then the connection is reset.
    Breaks(Arc<Fate>),
    /// Piece by piece, while its client is there.
    Drips(Box<Drips>),
}

struct Drips {
    timer: Timer,
    from: Timestamp,
    to: Timestamp,
    /// Bytes in all.
    length: usize,
    /// Pieces written.
    written: u32,
    sleep: Sleep,
    _caller: WaitingCaller,
}

impl AnswerBody {
    pub(super) fn whole(body: Bytes) -> Self {
        Self { rest: body, delivery: Delivery::Whole }
    }

    pub(super) fn breaking(body: Bytes, fate: Arc<Fate>) -> Self {
        Self { rest: body, delivery: Delivery::Breaks(fate) }
    }

    /// The first piece at `from`, the last one at `to`.
    pub(super) fn dripping(
        body: Bytes,
        timer: Timer,
        (from, to): (Timestamp, Timestamp),
        caller: WaitingCaller,
    ) -> Self {
        let (length, sleep) = (body.len(), timer.until(from));
        let drips = Drips { timer, from, to, length, written: 0, sleep, _caller: caller };
        Self { rest: body, delivery: Delivery::Drips(Box::new(drips)) }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { rest, delivery } = &mut *self;
        if rest.is_empty() {
            return Poll::Ready(None);
        }
        let bytes = match delivery {
            Delivery::Whole => rest.split_off(0),
            Delivery::Breaks(fate) => {
                let part = rest.len().div_ceil(2);
                let (part, fate) = (rest.split_to(part), Arc::clone(fate));
                fate.reset_once_written();
                *delivery = Delivery::Never;
                part
            }
            Delivery::Drips(drips) => {
                ready!(Pin::new(&mut drips.sleep).poll(context));
                drips.written += 1;
                let share = (drips.to - drips.from) * drips.written / (PIECES - 1);
                drips.sleep = drips.timer.until(drips.from + share);
                // What is left after a piece is a share of the whole, so that the last piece is not an empty one.
                let left = drips.length * PIECES.saturating_sub(drips.written) as usize / PIECES as usize;
                rest.split_to(rest.len().saturating_sub(left))
            }
            Delivery::Never => return Poll::Pending,
        };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
