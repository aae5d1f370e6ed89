use std::time::Duration;

use thiserror::Error;

use crate::RetryPolicy;

/// A route by its place in [`Routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId(pub u32);

/// An upstream by its place in the order of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// When the gateway tries again; goes before the gateway's own.
    pub retry: Option<GatewayRetry>,
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
    routes: Vec<Route>,
}

/// Why a routing table is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// The path is relative, or carries a query or a fragment.
    #[error("a route's path starts with `/` and has no `?` or `#`, unlike {0:?}")]
    Path(String),
    /// Two routes serve the same path.
    #[error("two routes serve {0:?}")]
    Duplicate(String),
}

impl Routes {
    /// A table of these routes, known by their place in the list.
    ///
    /// # Errors
    ///
    /// [`RouteError::Path`] for a path that no request can have, [`RouteError::Duplicate`] for one that two
    /// routes claim (`/orders` and `/orders/` are the same).
    pub fn new(routes: Vec<Route>) -> Result<Self, RouteError> {
        for (place, route) in routes.iter().enumerate() {
            if !route.path.starts_with('/') || route.path.contains(['?', '#']) {
                return Err(RouteError::Path(route.path.clone()));
            }
            if routes[..place].iter().any(|earlier| trimmed(&earlier.path) == trimmed(&route.path)) {
                return Err(RouteError::Duplicate(route.path.clone()));
            }
        }
        Ok(Self { routes })
    }

    /// The route that serves a path; `None` for nobody's.
    pub fn resolve(&self, path: &str) -> Option<RouteId> {
        let serving = self.routes.iter().enumerate().filter(|(_, route)| {
            path.strip_prefix(trimmed(&route.path))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let (place, _) = serving.max_by_key(|(_, route)| trimmed(&route.path).len())?;
        Some(RouteId(place as u32))
    }

    /// A route of this table.
    ///
    /// # Panics
    ///
    /// If the route is of another, longer table.
    pub fn get(&self, route: RouteId) -> &Route {
        &self.routes[route.0 as usize]
    }

    /// Whether a request has to bear a token. One that no route serves does, so that only those who may ask learn which paths
    /// there are.
    pub fn requires_auth(&self, route: Option<RouteId>) -> bool {
        route.is_none_or(|route| self.get(route).auth)
    }

    /// All routes in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.routes.iter()
    }
}

/// A path without its last `/`, so that the root is the empty prefix of everything.
fn trimmed(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> Route {
        Route { path: path.to_owned(), upstream: UpstreamId(0), timeout: None, retry: None, auth: true }
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
            assert_eq!(routes.resolve(path), Some(RouteId(served)), "{path}");
        }
        let routes = Routes::new(vec![route("/orders")]).unwrap();
        assert_eq!(routes.resolve("/account"), None);
        assert_eq!(routes.resolve(""), None);
    }

    #[test]
    fn a_table_that_cannot_be_meant_is_refused() {
        let refused =
            |paths: &[&str]| Routes::new(paths.iter().map(|path| route(path)).collect()).unwrap_err();
        assert_eq!(refused(&["orders"]), RouteError::Path("orders".into()));
        assert_eq!(refused(&["/orders?x"]), RouteError::Path("/orders?x".into()));
        assert_eq!(refused(&["/a", "/a/"]), RouteError::Duplicate("/a/".into()));
    }
}
