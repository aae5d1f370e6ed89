//! The keeping of keys: the fetches of everybody who judges tokens, and their timers.

use gateway::auth::{Fetch, FetchFailure};
use gateway::{AttemptEnd, HostId, Timestamp};
use reports::CauseId;
use simulator::{Content, Stream};

use super::Run;
use super::event::{CallOrigin, Event, KeyHolder, ServiceJob};
use super::services::{Asks, Bears};

/// Whoever judges tokens, and needs keys to do so by.
pub(super) struct Keeper {
    pub(super) holder: KeyHolder,
    /// For its fetches.
    pub(super) stream: Stream,
    pub(super) fetches: u64,
    /// The job of the fetch under way.
    pub(super) fetching: Option<ServiceJob>,
    /// When it will be woken next, if at all.
    pub(super) wakes: Option<Timestamp>,
    /// Why its last fetch failed.
    pub(super) failure: CauseId,
}

impl Run<'_> {
    /// Begins the fetches of keys that are due, and goes on with whoever waited for them.
    pub(super) fn keep_keys(&mut self) {
        let now = self.context.now;
        for place in 0..self.keepers.len() {
            let holder = self.keepers[place].holder;
            let due = match holder {
                KeyHolder::Gateway => {
                    while let Some(ticket) = self.gateway.poll_resumed() {
                        self.resume(ticket);
                    }
                    self.gateway.poll_fetch(now).zip(self.provider)
                }
                KeyHolder::Service(service) => {
                    self.services.resume(&mut self.context, service);
                    self.services.poll_fetch(now, service)
                }
            };
            if let Some((fetch, provider)) = due {
                self.fetch_keys(place, fetch, provider);
            }
            let next = match holder {
                KeyHolder::Gateway => self.gateway.next_wakeup(),
                KeyHolder::Service(service) => self.services.next_key_wakeup(service),
            };
            let keeper = &mut self.keepers[place];
            if let Some(next) = next.filter(|next| keeper.wakes.is_none_or(|wakes| *next < wakes)) {
                keeper.wakes = Some(next);
                // The deadline of the fetch under way, if there is one; to the other times it makes no difference.
                self.context.events.schedule_timeout(next, Event::Keys { keeper: place as u32 });
            }
        }
    }

    pub(super) fn fetch_keys(&mut self, place: usize, fetch: Fetch, provider: usize) {
        let keeper = &mut self.keepers[place];
        let key = keeper.stream.at(keeper.fetches);
        keeper.fetches += 1;
        let caller = CallOrigin::Keys { holder: keeper.holder, fetch: fetch.number };
        let bears = Bears { bearer: None, shows_token: false, asks: Asks::Keys, content: Content::NONE };
        let job = self.services.dispatch(&mut self.context, (provider, HostId(0)), caller, key, bears);
        self.keepers[place].fetching = Some(job);
    }

    /// A fetch of keys was answered.
    pub(super) fn hear_keys(&mut self, holder: KeyHolder, fetch: u64, reply: AttemptEnd, why: CauseId) {
        let now = self.context.now;
        let result = match reply {
            AttemptEnd::Answered(status) if status < 300 => {
                Ok(self.context.bearers.published(self.context.since_start))
            }
            AttemptEnd::Answered(status) | AttemptEnd::Deferred { status, .. } => {
                Err(FetchFailure::Status(status))
            }
            AttemptEnd::Broken | AttemptEnd::NeverSent | AttemptEnd::Cut => Err(FetchFailure::Connection),
            AttemptEnd::TimedOut => Err(FetchFailure::TimedOut),
        };
        if let Some(keeper) = self.keepers.iter_mut().find(|keeper| keeper.holder == holder) {
            keeper.fetching = None;
            keeper.failure = if result.is_ok() { CauseId::UNKNOWN } else { why };
        }
        match holder {
            KeyHolder::Gateway => self.gateway.on_fetched(now, fetch, result),
            KeyHolder::Service(service) => self.services.on_fetched(now, service, fetch, result),
        }
    }

    /// The time has come to give up on a fetch of keys, or to make the next one.
    pub(super) fn wake_keeper(&mut self, place: usize) {
        let now = self.context.now;
        let holder = self.keepers[place].holder;
        let (before, after) = match holder {
            KeyHolder::Gateway => {
                let before = self.gateway.next_wakeup();
                self.gateway.on_wakeup(now);
                (before, self.gateway.next_wakeup())
            }
            KeyHolder::Service(service) => {
                let before = self.services.next_key_wakeup(service);
                self.services.on_key_wakeup(now, service);
                (before, self.services.next_key_wakeup(service))
            }
        };
        self.keepers[place].wakes = None;
        // It has given up on the fetch under way.
        if before != after
            && let Some(job) = self.keepers[place].fetching.take()
        {
            self.keepers[place].failure = self.services.holds(&mut self.context, job);
            self.services.on_caller_left(&mut self.context, job);
        }
    }
}
