//! A path as it came, and as servers read it: whoever resolves either comes to the route that was chosen.

use gateway::{Paths, Route, RouteId, Routes, UpstreamId};

const ROUTES: [&str; 8] =
    ["/", "/assets", "/account", "/account/open", "/api/v1", "/a b", "/caf%C3%A9", "/.well-known"];

/// A path, without its query.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(path) = std::str::from_utf8(bytes) else { return };
    if path.contains(['?', '#']) {
        return;
    }
    // With a root for everything, and without.
    for routes in [&ROUTES[..], &ROUTES[1..]] {
        normal(&table(Paths::Normal, routes), routes, path);
        verbatim(&table(Paths::Verbatim, &routes[..routes.len() - 3]), path);
    }
}

fn table(paths: Paths, routes: &[&str]) -> Routes {
    let upstream = UpstreamId(0);
    let route = |path: &&str| Route {
        path: (*path).to_owned(),
        upstream,
        timeout: None,
        try_timeout: None,
        retry: None,
        concurrency: None,
        auth: true,
    };
    Routes::reading(paths, routes.iter().map(route).collect()).expect("the routes are in order")
}

fn normal(table: &Routes, routes: &[&str], path: &str) {
    let Ok(judged) = table.judge(path) else { return };
    let again = table.judge(&judged.path).expect("a form has a form");
    assert_eq!(again, judged, "the form of a form is itself: {path:?}");
    assert!(judged.path.starts_with('/') && judged.path.is_ascii(), "{judged:?}");
    let is_shown = |byte: u8| byte > b' ' && byte != 0x7f;
    assert!(judged.path.bytes().all(is_shown), "it is passed on as one line: {judged:?}");
    // What came, and what is passed on; by the letter, by servers for which `;` begins a parameter, and by those for which a
    // backslash is a slash.
    for read in [path, &*judged.path] {
        for (parameters, backslashes) in [(false, false), (true, false), (false, true), (true, true)] {
            let resolved = resolve(read, parameters, backslashes);
            let chosen = longest(routes, &resolved);
            assert_eq!(
                chosen, judged.route,
                "{path:?} is passed on as {:?}, and {read:?} read as {resolved:?} (parameters: {parameters}, backslashes: \
                 {backslashes})",
                judged.path
            );
        }
    }
}

/// Nothing is changed, and whoever takes the path by the letter finds nothing to resolve.
fn verbatim(table: &Routes, path: &str) {
    let Ok(judged) = table.judge(path) else { return };
    assert_eq!(judged.path, path);
    let is_dots = |segment: &str| matches!(&*decoded(segment), b"." | b"..");
    assert!(!path.split('/').any(is_dots), "{path:?}");
}

/// The segments of a path as a server has them that decodes once and then merges slashes and removes dot segments.
fn resolve(path: &str, parameters: bool, backslashes: bool) -> Vec<Vec<u8>> {
    let mut segments: Vec<Vec<u8>> = Vec::new();
    // Encoded separators separate for it.
    let path = decoded(path);
    for segment in path.split(|byte| *byte == b'/' || (backslashes && *byte == b'\\')) {
        let end = segment.iter().position(|byte| parameters && *byte == b';').unwrap_or(segment.len());
        match &segment[..end] {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            segment => segments.push(segment.to_vec()),
        }
    }
    segments
}

fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [byte, after @ ..] = rest {
        let encoded = match (byte, after) {
            (b'%', [high, low, ..]) => char::from(*high).to_digit(16).zip(char::from(*low).to_digit(16)),
            _ => None,
        };
        bytes.push(encoded.map_or(*byte, |(high, low)| (high * 16 + low) as u8));
        rest = if encoded.is_some() { &after[2..] } else { after };
    }
    bytes
}

/// The longest of the routes that these segments are below.
fn longest(routes: &[&str], segments: &[Vec<u8>]) -> Option<RouteId> {
    let serving = routes.iter().enumerate().filter_map(|(place, route)| {
        let route: Vec<Vec<u8>> = route.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        segments.starts_with(&route).then_some((route.len(), place))
    });
    serving.max().map(|(_, place)| RouteId(place as u32))
}
