//! Where tokens are judged in virtual time, and the requests that wait there for keys.

use std::hash::Hash;

use foldhash::fast::FixedState;
use hashlink::LinkedHashMap;

use super::{
    AuthConfig, AuthVerdict, Authenticator, Fetch, FetchFailure, KeySet, KeyWait, Presented, VerifyingKey,
};
use crate::timestamp::Timestamp;

/// An authenticator with the requests that wait for its keys: a gateway's, or that of a service that judges tokens by itself.
///
/// The calling contract, for a ticket unique among the requests present: [`KeyQueue::judge`] decides. A request that it tells to
/// wait does so until [`KeyQueue::poll_resumed`] names the ticket, and is then judged again; or until [`KeyQueue::on_left`].
/// At the start and after any call, [`KeyQueue::poll_fetch`] until it gives nothing; [`KeyQueue::on_fetched`] with what comes
/// of a fetch, and [`KeyQueue::on_wakeup`] at [`KeyQueue::next_wakeup`]. After those two, `poll_resumed` until it gives nothing.
#[derive(Debug)]
pub struct KeyQueue<K, T> {
    authenticator: Authenticator<K>,
    /// In order of their arrival.
    waiting: LinkedHashMap<T, KeyWait, FixedState>,
}

impl<K: VerifyingKey, T: Copy + Eq + Hash> KeyQueue<K, T> {
    /// Without keys yet, and nobody waits.
    pub fn new(config: AuthConfig) -> Self {
        Self { authenticator: Authenticator::new(config), waiting: LinkedHashMap::default() }
    }

    /// As [`Authenticator::on_token`]; a request that has to wait for keys is in the queue from now on.
    pub fn judge(
        &mut self,
        now: Timestamp,
        ticket: T,
        presented: &Presented<'_, K>,
        has_waited: bool,
    ) -> AuthVerdict {
        let verdict = self.authenticator.on_token(now, presented, has_waited);
        if let AuthVerdict::AwaitKeys(wait) = verdict {
            self.waiting.insert(ticket, wait);
        }
        verdict
    }

    /// The next request that waited for keys and need not any longer, in order of their arrival.
    pub fn poll_resumed(&mut self) -> Option<T> {
        let (_, wait) = self.waiting.front()?;
        if wait.round >= self.authenticator.rounds() {
            return None;
        }
        self.waiting.pop_front().map(|(ticket, _)| ticket)
    }

    /// Takes a request out that waits for keys.
    pub fn on_left(&mut self, ticket: T) {
        if let Some(wait) = self.waiting.remove(&ticket) {
            self.authenticator.on_left(wait);
        }
    }

    /// Requests that wait for keys.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// As [`Authenticator::poll_fetch`]: [`AuthConfig::jwks`] is to be asked.
    pub fn poll_fetch(&mut self, now: Timestamp) -> Option<Fetch> {
        self.authenticator.poll_fetch(now)
    }

    /// As [`Authenticator::on_fetched`].
    pub fn on_fetched(&mut self, now: Timestamp, number: u64, result: Result<KeySet<K>, FetchFailure>) {
        self.authenticator.on_fetched(now, number, result);
    }

    /// As [`Authenticator::next_wakeup`].
    pub fn next_wakeup(&self) -> Timestamp {
        self.authenticator.next_wakeup()
    }

    /// As [`Authenticator::on_wakeup`].
    pub fn on_wakeup(&mut self, now: Timestamp) {
        self.authenticator.on_wakeup(now);
    }
}
