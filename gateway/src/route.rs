//! The routing table: which route and which upstream serve a path.

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;

use crate::concurrency::ConcurrencyCap;
use crate::path::{PathFault, Paths, without_parameters};
use crate::retry::RetryPolicy;

/// A route by its place in [`Routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId(pub u32);

/// An upstream by its place in the order of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamId(pub u32);

/// Where requests below a path go.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The path served, with everything below it: `/orders` serves `/orders/42` too, but not `/ordersmith`.
    pub path: String,
    /// Who answers.
    pub upstream: UpstreamId,
    /// From the moment a worker is taken until the answer is whole; `None` for as long as it takes.
    pub timeout: Option<Duration>,
    /// How long each attempt may go without the head of an answer; goes before that of the upstream and of the gateway.
    pub try_timeout: Option<Duration>,
    /// When the gateway tries again; goes before the gateway's own.
    pub retry: Option<GatewayRetry>,
    /// How many requests of this route may be under way, wait and be tried again at once; `None` for any number.
    pub concurrency: Option<ConcurrencyCap>,
    /// Whether it is for those only whose token was verified, where the gateway judges tokens at all.
    pub auth: bool,
}

/// When the gateway tries again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GatewayRetry {
    /// The policy.
    pub policy: RetryPolicy,
    /// Tries requests again that are not idempotent too (RFC 9110, 9.2.2), which may have been carried out although no
    /// answer came.
    pub non_idempotent: bool,
}

/// The routing table: the longest path that matches wins, whole segments only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routes {
    all: Vec<Route>,
    /// What each is compared by.
    keys: Vec<Box<[u8]>>,
    paths: Paths,
}

/// What a routing table says of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed<'p> {
    /// The path that was judged, and that an upstream is to be asked for.
    pub path: Cow<'p, str>,
    /// The route that serves it; `None` for nobody's.
    pub route: Option<RouteId>,
}

/// Why a routing table is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// The path is relative, or carries a query or a fragment.
    #[error("a route's path starts with `/` and has no `?` or `#`, unlike {0:?}")]
    Path(String),
    /// No request can have the path.
    #[error("no request comes to {path:?}: {fault}")]
    Refused {
        /// The path.
        path: String,
        /// Why such a request is refused.
        fault: PathFault,
    },
    /// Two routes serve the same path.
    #[error("two routes serve {0:?}")]
    Duplicate(String),
}

impl RouteError {
    /// The path that is meant; of two, the later one.
    pub fn path(&self) -> &str {
        let (Self::Path(path) | Self::Refused { path, .. } | Self::Duplicate(path)) = self;
        path
    }
}

impl Routes {
    /// A table of these routes, known by their place in the list, for paths in one form.
    ///
    /// # Errors
    ///
    /// [`RouteError::Path`] and [`RouteError::Refused`] for a path that no request can have, [`RouteError::Duplicate`] for
    /// one that two routes claim (`/orders`, `/orders/` and `/%6frders` are the same).
    pub fn new(routes: Vec<Route>) -> Result<Self, RouteError> {
        Self::reading(Paths::Normal, routes)
    }

    /// As [`Routes::new`], of paths that are read so.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn reading(paths: Paths, routes: Vec<Route>) -> Result<Self, RouteError> {
        let mut keys: Vec<Box<[u8]>> = Vec::with_capacity(routes.len());
        for route in &routes {
            if !route.path.starts_with('/') || route.path.contains(['?', '#']) {
                return Err(RouteError::Path(route.path.clone()));
            }
            let refused = |fault| RouteError::Refused { path: route.path.clone(), fault };
            let form = paths.form(&route.path).map_err(refused)?;
            let bytes = paths.bytes(&form);
            // Without its last `/`, so that the root is the empty prefix of everything.
            let key = bytes.strip_suffix(b"/").unwrap_or(&bytes);
            if keys.iter().any(|earlier| **earlier == *key) {
                return Err(RouteError::Duplicate(route.path.clone()));
            }
            keys.push(key.into());
        }
        Ok(Self { all: routes, keys, paths })
    }

    /// Brings a path, without its query, to the form in which it is passed on, and says which route serves it.
    ///
    /// # Errors
    ///
    /// The fault of a path that is not unambiguous: it is answered 400.
    pub fn judge<'p>(&self, path: &'p str) -> Result<Routed<'p>, PathFault> {
        let path = self.paths.form(path)?;
        let route = self.serving(&path);
        if self.paths == Paths::Normal
            && let Some(bare) = without_parameters(&path)
            && self.serving(&bare) != route
        {
            return Err(PathFault::Parameter);
        }
        Ok(Routed { path, route })
    }

    fn serving(&self, form: &str) -> Option<RouteId> {
        let path = self.paths.bytes(form);
        let serving = self.keys.iter().enumerate().filter(|(_, key)| {
            path.strip_prefix(&***key).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        });
        let (place, _) = serving.max_by_key(|(_, key)| key.len())?;
        Some(RouteId(place as u32))
    }

    /// How paths are read.
    pub const fn paths(&self) -> Paths {
        self.paths
    }

    /// A route of this table.
    ///
    /// # Panics
    ///
    /// If the route is of another, longer table.
    pub fn get(&self, route: RouteId) -> &Route {
        &self.all[route.0 as usize]
    }

    /// Whether a request has to bear a token. One that no route serves does, so that only those who may ask learn which paths
    /// there are.
    pub fn requires_auth(&self, route: Option<RouteId>) -> bool {
        route.is_none_or(|route| self.get(route).auth)
    }

    /// All routes in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> Route {
        Route {
            path: path.to_owned(),
            upstream: UpstreamId(0),
            timeout: None,
            try_timeout: None,
            retry: None,
            concurrency: None,
            auth: true,
        }
    }

    fn served_by(routes: &Routes, path: &str) -> Result<Option<u32>, PathFault> {
        routes.judge(path).map(|routed| routed.route.map(|route| route.0))
    }

    #[test]
    fn the_longest_path_of_whole_segments_wins() {
        let routes = Routes::new(vec![route("/"), route("/orders"), route("/orders/bulk/")]).unwrap();
        for (path, served) in [
            ("/", 0),
            ("/ordersmith", 0),
            ("/orders", 1),
            ("/orders/42", 1),
            ("/orders/bulk", 2),
            ("/orders/bulk/7", 2),
        ] {
            assert_eq!(served_by(&routes, path), Ok(Some(served)), "{path}");
        }
        let routes = Routes::new(vec![route("/orders")]).unwrap();
        assert_eq!(served_by(&routes, "/account"), Ok(None));
    }

    #[test]
    fn a_table_that_cannot_be_meant_is_refused() {
        let refused =
            |paths: &[&str]| Routes::new(paths.iter().map(|path| route(path)).collect()).unwrap_err();
        assert_eq!(refused(&["orders"]), RouteError::Path("orders".into()));
        assert_eq!(refused(&["/orders?x"]), RouteError::Path("/orders?x".into()));
        let fault = PathFault::EncodedSeparator;
        assert_eq!(refused(&["/a%2Fb"]), RouteError::Refused { path: "/a%2Fb".into(), fault });
        for other in ["/a b/", "/a%20b", "/%61 b", "//a b", "/x/../a b"] {
            assert_eq!(refused(&["/a b", other]), RouteError::Duplicate(other.into()));
        }
    }

    #[test]
    fn a_path_is_served_by_the_route_of_what_it_says() {
        let routes = Routes::new(vec![route("/"), route("/a b"), route("/x+y")]).unwrap();
        for (path, served) in
            [("/a%20b", 1), ("/a%20b/c", 1), ("/z/..//%61%20b", 1), ("/x+y", 2), ("/x%2by", 2)]
        {
            assert_eq!(served_by(&routes, path), Ok(Some(served)), "{path}");
        }
        assert_eq!(routes.judge("/z/../%61%20b").unwrap().path, "/a%20b");

        let verbatim = vec![route("/"), route("/a%2Fb"), route("//a")];
        let verbatim = Routes::reading(Paths::Verbatim, verbatim).unwrap();
        for (path, served) in [("/a%2Fb", 1), ("/a%2fb", 0), ("//a", 2), ("/a", 0)] {
            assert_eq!(served_by(&verbatim, path), Ok(Some(served)), "{path}");
            assert_eq!(verbatim.judge(path).unwrap().path, path);
        }
    }

    #[test]
    fn a_parameter_chooses_no_route() {
        let routes = Routes::new(vec![route("/"), route("/account")]).unwrap();
        // Servers that know parameters read `/account` in each.
        for path in ["/account;x", "/account;x=1/y", "/account%3bx", "/account;"] {
            assert_eq!(served_by(&routes, path), Err(PathFault::Parameter), "{path}");
        }
        assert_eq!(served_by(&routes, "/account/y;x=1"), Ok(Some(1)));
        assert_eq!(served_by(&routes, "/y;x=1"), Ok(Some(0)));
    }

    /// The segments that a server finds in a path which takes everything for what it may be: it decodes, takes a backslash for
    /// a slash and, if it knows of `parameters`, a `;` for the beginning of one, and then resolves what is there.
    fn segments(path: &str, parameters: bool) -> Vec<Vec<u8>> {
        let mut decoded = Vec::new();
        let mut rest = path.as_bytes();
        while let [byte, after @ ..] = rest {
            let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let encoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            let encoded = encoded.filter(|_| *byte == b'%' && after[0] != b'+');
            decoded.push(encoded.unwrap_or(*byte));
            rest = if encoded.is_some() { &after[2..] } else { after };
        }
        let mut segments = Vec::new();
        for segment in decoded.split(|byte| b"/\\".contains(byte)) {
            let end = segment.iter().position(|byte| parameters && *byte == b';').unwrap_or(segment.len());
            match &segment[..end] {
                b"" | b"." => {}
                b".." => _ = segments.pop(),
                segment => segments.push(segment.to_vec()),
            }
        }
        segments
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(20_000))]

        #[test]
        fn no_server_reads_a_path_as_that_of_another_route(
            pieces in proptest::collection::vec(proptest::sample::select(&[
                "/", "/", "//", "account", "assets", "x", ".", "..", "%2e", "%2E", "%2f", "%2F", "\\", "%5c", ";", "%3b",
                "%61", "%25", "61", "ccount", "%", "%00", " ", "%20", "+", "\u{e9}", "/../", "/./", "/..;/", "/;x/",
            ][..]), 0..12)
        ) {
            let path = format!("/{}", pieces.concat());
            let paths = ["/", "/assets", "/account", "/assets/x"];
            let routes = Routes::new(paths.map(route).to_vec()).unwrap();
            if let Ok(Routed { path: form, route: served }) = routes.judge(&path) {
                // Once in its form it stays, and is served by the same route.
                proptest::prop_assert_eq!(routes.judge(&form), Ok(Routed { path: form.clone(), route: served }));
                proptest::prop_assert!(http_path(&form), "{}", form);
                for (asked, parameters) in [(&*path, false), (&path, true), (&form, false), (&form, true)] {
                    let found = segments(asked, parameters);
                    let below = |route: &str| {
                        let of_route = segments(route, false);
                        found.starts_with(&of_route).then_some(of_route.len())
                    };
                    let longest = (0..paths.len()).max_by_key(|place| below(paths[*place]));
                    proptest::prop_assert_eq!(served, longest.map(|place| RouteId(place as u32)), "{}", asked);
                }
            }
        }
    }

    /// Whether a path is one of RFC 3986.
    fn http_path(path: &str) -> bool {
        path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte))
    }
}
