//! The checks of hosts on sockets: one task for all, over the connections of one thread.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::uri::PathAndQuery;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::keys::Provider;
use super::thread::Thread;
use crate::hosts::HostCheck;
use crate::route::UpstreamId;

/// How long nobody looks whether there is anything to check, where no check is due: a reload may bring some.
const REST: Duration = Duration::from_millis(200);

impl Thread {
    /// Asks hosts how they are whenever that is due, for ever.
    pub(super) async fn keep_checks(self: Arc<Self>) {
        loop {
            let rules = self.rules();
            let (due, next) = rules.poll_checks();
            for (upstream, check) in due {
                tokio::spawn(Arc::clone(&self).check(upstream, check));
            }
            match next {
                Some(next) => {
                    let next = Instant::from_std(rules.clock.moment(next));
                    sleep_until(next.min(Instant::now() + REST)).await;
                }
                None => sleep(REST).await,
            }
        }
    }

    /// Asks one host.
    async fn check(self: Arc<Self>, upstream: UpstreamId, check: HostCheck) {
        let settings = self.settings();
        let first = settings.first_hosts.get(upstream.0 as usize);
        let path = settings.health_paths.get(&upstream).cloned();
        let Some(first) = first else { return };
        let provider = Provider {
            upstreams: Arc::clone(self.upstreams()),
            upstream: first + check.host.0 as usize,
            path: path.unwrap_or_else(|| PathAndQuery::from_static("/")),
            check: Some(HeaderValue::from_static("1")),
        };
        let deadline = Instant::from_std(self.rules().clock.moment(check.deadline));
        let answered = timeout_at(deadline, provider.ask()).await;
        let well = match answered {
            Ok(Some((response, lease))) => {
                let well = response.status().is_success();
                // What the answer says is of no interest, but the connection is good for more once it is whole.
                if let Ok(Ok(_)) = timeout_at(deadline, super::keys::read(response.into_body())).await {
                    lease.give_back();
                }
                well
            }
            Ok(None) | Err(_) => false,
        };
        self.rules().on_checked(upstream, check, well);
    }
}
