//! The cache before a service: the key `cache` of an upstream.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::{Value as Json, json};
use simulator::{CacheConfig, CacheContents, CachedObjects, Latency, Popularity};

use super::diagnostic::Problem;
use super::latency::Time;
use super::shape::{Choice, Shape};
use super::table::{Described, table};
use super::tree::{Node, Value};
use super::values::{FromNode, Positive, Share, Written};
use super::words::list;

table! {
    /// A cache before the service. It has a share of what is asked for (`hits`), or knows its objects (`keys`): those
    /// expire, and then everybody who asks for one goes to the service until the first answer is back. Each host of the upstream has a
    /// cache of its own. A cache answers GET and HEAD, whatever fails behind it, and what services ask of one another. An answer is
    /// kept if it is a 2xx that came whole.
    pub(super) struct Cache<'t> (Choice::ByKind) {
        /// The share of the requests that the cache answers, drawn for each request of a client: its retries are as lucky as the first
        /// attempt.
        hits: Share, is kind;
        /// How many different objects are asked for, at least 1 and at most 1,000,000; which one is drawn for each request of a client.
        keys: NonZeroU32, is kind;
        /// How the popularity of the objects falls: the k-th most popular is asked for in proportion to k to the power of minus this
        /// number, from 0 (all alike) to 5. Of pages and products it is near 1.
        zipf: Zipf = Zipf(0.0), with |contents| contents == "keys";
        /// How long an answer is fresh, from its end: a duration, or a distribution from which the time is drawn for each answer.
        ttl: Time,
            needed "how long an answer is fresh, such as `ttl = \"60s\"`", with |contents| contents == "keys";
        /// Whether the cache is full at the start, with objects of all ages; otherwise it is empty.
        warm: bool = false, with |contents| contents == "keys";
        /// For how long after its `ttl` an answer is served while one request fetches the next one (`stale-while-revalidate`). That
        /// request waits for the service.
        stale: Duration = Duration::ZERO, with |contents| contents == "keys";
        /// Whether one request fetches an object and all others that ask for it wait for that answer (nginx `proxy_cache_lock`). If
        /// that comes to nothing, the first of those that wait fetches the object.
        collapse: bool = false, with |contents| contents == "keys";
        /// With `collapse`: how long a request waits for the answer to another at most. After that it asks the service by itself, and
        /// its answer is not kept.
        collapse_timeout: Positive = Positive(Duration::from_secs(5)), with |contents| contents == "keys";
        /// How long an answer from the cache takes: a duration, or a distribution. It takes no worker of the service. Default: `"1ms"`.
        hit_latency: Time;
    }
}

/// How the popularity of objects falls with their rank. Whoever uses it refuses what is out of range.
#[derive(Clone, Copy)]
pub(super) struct Zipf(f64);

impl Written for Zipf {
    fn written(&self) -> Json {
        if self.0.fract() == 0.0 { Json::from(self.0 as u64) } else { Json::from(self.0) }
    }
}

impl FromNode for Zipf {
    fn from_node(node: &Node) -> Result<Self, String> {
        let number = match &node.value {
            Value::Integer(digits) | Value::Float(digits) => digits.parse().unwrap_or(f64::NAN),
            _ => return Err(format!("expected a number such as 1.0, found {}", node.kind())),
        };
        // What is no number is in no range.
        if (0.0..=Popularity::LARGEST_EXPONENT).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("expected a number from 0 to {}", Popularity::LARGEST_EXPONENT))
        }
    }

    fn format() -> Shape {
        Shape::Value(
            json!({ "type": "number", "minimum": 0, "maximum": Popularity::LARGEST_EXPONENT as u64 }),
        )
    }
}

impl Cache<'_> {
    /// `None` where it is no cache, which is noted.
    pub(super) fn build(self) -> Option<CacheConfig> {
        let context = self.table.context();
        let default = Latency::constant(Duration::from_millis(1)).ok();
        let hit_latency = self.hit_latency.value.map(|Time(latency)| latency).or(default)?;
        let refuse = |message: String, help: &str| {
            context.push(Problem::error(self.table.span(), message).help(help));
        };
        let contents = match (self.hits.value, self.keys.value, self.hits.entry, self.keys.entry) {
            (Some(Share(share)), None, _, None) => CacheContents::Share(share),
            (None, Some(objects), None, _) => {
                let popularity = Popularity::new(objects, self.zipf.value.0).map_err(|error| {
                    let message = format!("`{}`: {error}", self.table.path());
                    context.push(Problem::error(self.keys.span_in(&self.table), message));
                });
                CacheContents::Objects(CachedObjects {
                    popularity: popularity.ok()?,
                    ttl: self.ttl.value?.0,
                    stale: self.stale.value,
                    warm: self.warm.value,
                    collapse: self.collapse.value,
                    collapse_timeout: Some(self.collapse_timeout.value.0),
                })
            }
            (_, _, None, None) => {
                let kinds = list(&Self::table().choices());
                let path = self.table.path();
                refuse(format!("`{path}` needs one of {kinds}"), "such as cache = { hits = \"95%\" }");
                return None;
            }
            (_, _, Some(_), Some(keys)) => {
                let path = self.table.path();
                let message = format!("`{path}` has both `hits` and `keys`");
                let problem = Problem::error(keys.key_span.clone(), message);
                context.push(problem.help("a cache has a share of all requests, or knows its objects"));
                return None;
            }
            // It cannot be read, which is noted.
            _ => return None,
        };
        Some(CacheConfig { contents, hit_latency, host: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{first_problem, world_with};
    use super::*;

    fn contents(cache: &str) -> CacheConfig {
        let world = world_with(&format!("upstreams.orders.cache = {cache}"));
        world.upstreams[0].config.cache.clone().unwrap()
    }

    #[test]
    fn a_cache_has_a_share_or_knows_its_objects() {
        let one = Latency::constant(Duration::from_millis(1)).unwrap();
        let share = contents("{ hits = '95%' }");
        assert_eq!(share.contents, CacheContents::Share(0.95));
        assert_eq!(share.hit_latency, one);
        let ttl = |seconds| Latency::constant(Duration::from_secs(seconds)).unwrap();
        let popularity = |exponent| Popularity::new(NonZeroU32::new(100).unwrap(), exponent).unwrap();
        let least = CachedObjects {
            popularity: popularity(0.0),
            ttl: ttl(60),
            stale: Duration::ZERO,
            warm: false,
            collapse: false,
            collapse_timeout: Some(Duration::from_secs(5)),
        };
        assert_eq!(contents("{ keys = 100, ttl = '60s' }").contents, CacheContents::Objects(least));
        let most = CachedObjects {
            popularity: popularity(0.8),
            ttl: ttl(5),
            stale: Duration::from_secs(10),
            warm: true,
            collapse: true,
            collapse_timeout: Some(Duration::from_secs(2)),
        };
        let all = contents(
            "{ keys = 100, zipf = 0.8, ttl = '5s', warm = true, stale = '10s', collapse = true, collapse_timeout = '2s', \
               hit_latency = '0s' }",
        );
        assert_eq!((all.contents, all.hit_latency), (CacheContents::Objects(most), Latency::ZERO));
        let none = world_with("upstreams.orders.cache = false");
        assert_eq!(none.upstreams[0].config.cache, None);
    }

    #[test]
    fn each_host_has_a_cache_of_its_own() {
        let world =
            world_with("upstreams.orders.hosts = 2\nupstreams.orders.cache = { keys = 5, ttl = '1s' }");
        let hosts = [0, 1].map(|host| world.upstreams[0].config_of(host).cache.unwrap().host);
        assert_eq!(hosts, [0, 1]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (cache, message, place) in [
            ("{}", "`upstreams.orders.cache` needs one of `hits` and `keys`", "{}"),
            ("true", "`upstreams.orders.cache`: expected a table or false, found true", "true"),
            (
                "{ hits = '95%', keys = 5, ttl = '1s' }",
                "`upstreams.orders.cache` has both `hits` and `keys`",
                "keys",
            ),
            ("{ keys = 5 }", "`upstreams.orders.cache` needs `ttl`", "{ keys = 5 }"),
            (
                "{ hits = '95%', ttl = '1s' }",
                "`upstreams.orders.cache.ttl` has no meaning with `hits`",
                "ttl",
            ),
            (
                "{ keys = 1000001, ttl = '1s' }",
                "`upstreams.orders.cache`: keys must be at most 1000000",
                "1000001",
            ),
            (
                "{ keys = 5, ttl = '1s', zipf = 5.5 }",
                "`upstreams.orders.cache.zipf`: expected a number from 0 to 5",
                "5.5",
            ),
        ] {
            let problem = first_problem(&format!("upstreams.orders.cache = {cache}"));
            assert_eq!(problem, (message.to_owned(), place.to_owned()), "{cache}");
        }
    }

    #[test]
    fn no_cache_answers_for_a_service_that_judges_tokens_or_is_asked_for_keys() {
        let identity = "upstreams.identity = { latency = '1ms', serves = 'jwks'";
        let (message, place) = first_problem(&format!("{identity}, cache = {{ hits = '50%' }} }}"));
        assert_eq!(message, "`upstreams.identity.cache`: an identity provider has no cache");
        assert_eq!(place, "{ hits = '50%' }");
        let (message, _) = first_problem(&format!(
            "{identity} }}\nupstreams.orders.cache = {{ hits = '50%' }}\nupstreams.orders.auth.jwks = 'identity'"
        ));
        assert_eq!(
            message,
            "`upstreams.orders.cache`: the cache would answer before the service judges a token"
        );
    }
}
