//! Routes from the paths of an OpenAPI document (OpenAPI 3.1, section 4.8.8, and Swagger 2.0), in YAML or JSON, which is YAML.
//!
//! The document is read as a stream of events: a node that nobody asks for is passed over, and an alias is never followed, so
//! that neither depth nor repetition costs memory.

use std::collections::HashSet;

use gateway::Paths as Reading;
use granit_parser::{Event, Parser, ScanError, Span, StrInput};

use super::in_a_line;
use crate::file::{Problem, is_route};

/// Larger documents are refused unread, in bytes. The largest that are published have some 30 MB.
pub(crate) const LARGEST_DOCUMENT: u64 = 64 << 20;

/// More paths are refused. The largest document that is published has some 17,000.
const MOST_PATHS: usize = 20_000;

/// Paths of more routes are cut, after as many segments as leave no more.
const MOST_ROUTES: usize = 100;

/// Servers that are repeated.
const MOST_SERVERS: usize = 3;

/// What a draft takes of an OpenAPI document.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// `info.title`.
    pub(crate) title: Option<String>,
    /// The first of `servers`, or `host` and `basePath` of Swagger 2.0; as they are shown.
    pub(crate) servers: Vec<String>,
    /// Paths of routes in the order of the document, at least one.
    pub(crate) routes: Vec<String>,
    /// After how many segments the paths were cut because there were many.
    pub(crate) cut: Option<usize>,
}

/// The paths of a document, and warnings of those that are no routes.
///
/// # Errors
///
/// What keeps it from being read, each problem with its place.
pub(crate) fn read_openapi(text: &str) -> Result<(Paths, Vec<Problem>), Vec<Problem>> {
    let mut document = Document { nodes: Parser::new_from_str(text), text };
    let Found { paths_key, paths, title, servers } = document.read().map_err(|problem| vec![problem])?;
    let Some(paths_key) = paths_key else {
        let problem = Problem::error(0..0, "it has no `paths`, which become the routes");
        return Err(vec![problem.help("an OpenAPI document has them, such as `paths: { /orders: {} }`")]);
    };
    let (mut routes, mut problems) = (Vec::new(), Vec::new());
    for (path, span) in paths {
        match route(&path) {
            Ok(route) => routes.push(route),
            Err(reason) => problems.push(Problem::warning(span, format!("no route for `{path}`: {reason}"))),
        }
    }
    if routes.is_empty() {
        problems.push(Problem::error(paths_key, "`paths` has no path of which a route could be made"));
        return Err(problems);
    }
    let (routes, cut) = few(routes);
    Ok((Paths { title, servers, routes, cut }, problems))
}

/// The route that serves a path: the segments before the first with a parameter, in the form that the gateway compares.
fn route(path: &str) -> Result<String, String> {
    // Some documents tell paths apart by their query, which is none of a route.
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let fixed = match path.split_once('{') {
        // `/level-{depot}` is below `/` for a gateway that compares whole segments.
        Some((before, _)) => &before[..=before.rfind('/').unwrap_or(0)],
        None => path,
    };
    let form = Reading::Normal.form(fixed).map_err(|fault| fault.detail().to_owned())?;
    let route = form.strip_suffix('/').filter(|route| !route.is_empty()).unwrap_or(&form);
    is_route(route)?;
    Ok(route.to_owned())
}

/// Each route once, in order, and cut to [`MOST_ROUTES`] if need be.
fn few(routes: Vec<String>) -> (Vec<String>, Option<usize>) {
    let routes = once(routes);
    if routes.len() <= MOST_ROUTES {
        return (routes, None);
    }
    let longest = routes.iter().map(|route| segments(route)).max().unwrap_or(0);
    let cut_after =
        |most: usize| once(routes.iter().map(|route| first_segments(route, most).to_owned()).collect());
    // Cut after none of them, only `/` is left.
    let cut = (0..longest).rev().find_map(|most| {
        let cut = cut_after(most);
        (cut.len() <= MOST_ROUTES).then_some((cut, Some(most)))
    });
    cut.unwrap_or_else(|| (vec!["/".to_owned()], Some(0)))
}

fn once(mut routes: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    routes.retain(|route| seen.insert(route.clone()));
    routes
}

fn segments(route: &str) -> usize {
    if route == "/" { 0 } else { route.matches('/').count() }
}

fn first_segments(route: &str, most: usize) -> &str {
    let end = route.match_indices('/').nth(most).map_or(route.len(), |(end, _)| end);
    if end == 0 { "/" } else { &route[..end] }
}

/// What stands in a document.
#[derive(Default)]
struct Found {
    /// Where `paths` is.
    paths_key: Option<Place>,
    paths: Vec<(String, Place)>,
    title: Option<String>,
    servers: Vec<String>,
}

/// Bytes of the document.
type Place = std::ops::Range<usize>;

struct Document<'t> {
    nodes: Parser<'t, StrInput<'t>>,
    text: &'t str,
}

impl<'t> Document<'t> {
    fn read(&mut self) -> Result<Found, Problem> {
        let (first, place) = self.next_node()?;
        if !matches!(first, Event::MappingStart(..)) {
            let message = if matches!(first, Event::StreamEnd) {
                "it is empty".to_owned()
            } else {
                format!("expected a mapping, found {}", kind(&first))
            };
            let problem = Problem::error(place, message);
            return Err(
                problem.help("an OpenAPI document in YAML or JSON begins with `openapi: 3.1.0` or the like")
            );
        }
        let mut found = Found::default();
        let (mut host, mut base_path) = (None, None);
        while let Some((key, place)) = self.next_key()? {
            match key.as_deref() {
                Some("paths") => {
                    found.paths_key = Some(place);
                    found.paths = self.read_paths()?;
                }
                Some("info") => found.title = self.read_title()?,
                Some("servers") => found.servers = self.read_servers()?,
                Some("host") => host = self.read_text()?,
                Some("basePath") => base_path = self.read_text()?,
                _ => self.pass_over()?,
            }
        }
        if let (Some(host), true) = (host, found.servers.is_empty()) {
            found.servers.push(host + base_path.as_deref().unwrap_or(""));
        }
        Ok(found)
    }

    /// The value of `paths`.
    fn read_paths(&mut self) -> Result<Vec<(String, Place)>, Problem> {
        let (start, place) = self.next_node()?;
        if !matches!(start, Event::MappingStart(..)) {
            let message = format!("`paths`: expected a mapping of paths, found {}", kind(&start));
            return Err(Problem::error(place, message));
        }
        let mut paths = Vec::new();
        while let Some((key, place)) = self.next_key()? {
            let Some(path) = key else {
                return Err(Problem::error(place, "`paths`: expected a path, found another key"));
            };
            // Specification extensions.
            if !path.starts_with("x-") {
                Self::refuse(&path, &place, paths.len())?;
                paths.push((path, place));
            }
            self.pass_over()?;
        }
        Ok(paths)
    }

    /// Refuses a key of `paths` that is no path, or one too many.
    fn refuse(path: &str, place: &Place, read: usize) -> Result<(), Problem> {
        let shown = in_a_line(path);
        if path == "$ref" || path == "<<" {
            let problem = Problem::error(place.clone(), format!("`paths`: `{shown}` is not followed"));
            return Err(
                problem.help("bundle the document into one file without references among its paths first")
            );
        }
        if !path.starts_with('/') {
            return Err(Problem::error(
                place.clone(),
                format!("`paths`: `{shown}` does not begin with a slash"),
            ));
        }
        if read == MOST_PATHS {
            let message = format!("`paths`: more than {MOST_PATHS} paths");
            return Err(
                Problem::error(place.clone(), message).help("take out what the scenario is not about")
            );
        }
        Ok(())
    }

    fn read_title(&mut self) -> Result<Option<String>, Problem> {
        if !matches!(self.peeked()?, Event::MappingStart(..)) {
            self.pass_over()?;
            return Ok(None);
        }
        self.next_node()?;
        let mut title = None;
        while let Some((key, _)) = self.next_key()? {
            match key.as_deref() {
                Some("title") => title = self.read_text()?,
                _ => self.pass_over()?,
            }
        }
        Ok(title)
    }

    fn read_servers(&mut self) -> Result<Vec<String>, Problem> {
        let mut servers = Vec::new();
        if !matches!(self.peeked()?, Event::SequenceStart(..)) {
            self.pass_over()?;
            return Ok(servers);
        }
        self.next_node()?;
        while !matches!(self.peeked()?, Event::SequenceEnd) {
            if !matches!(self.peeked()?, Event::MappingStart(..)) {
                self.pass_over()?;
                continue;
            }
            self.next_node()?;
            while let Some((key, _)) = self.next_key()? {
                match key.as_deref() {
                    Some("url") if servers.len() < MOST_SERVERS => servers.extend(self.read_text()?),
                    _ => self.pass_over()?,
                }
            }
        }
        self.next_node()?;
        Ok(servers)
    }

    /// A text as it is shown; none if it is another value.
    fn read_text(&mut self) -> Result<Option<String>, Problem> {
        let text = match self.peeked()? {
            Event::Scalar(text, ..) => Some(in_a_line(text)).filter(|text| !text.is_empty()),
            _ => None,
        };
        self.pass_over()?;
        Ok(text)
    }

    /// The next key of a mapping, which is no text if it is none; nothing at the end of the mapping.
    fn next_key(&mut self) -> Result<Option<(Option<String>, Place)>, Problem> {
        match self.peeked()? {
            Event::MappingEnd => {
                self.next_node()?;
                Ok(None)
            }
            Event::Scalar(..) => match self.next_node()? {
                (Event::Scalar(text, ..), place) => Ok(Some((Some(text.into_owned()), place))),
                (_, place) => Ok(Some((None, place))),
            },
            _ => {
                let place = self.pass_over_from()?;
                Ok(Some((None, place)))
            }
        }
    }

    fn pass_over(&mut self) -> Result<(), Problem> {
        self.pass_over_from().map(|_| ())
    }

    /// Passes over a node with all that is in it, and says where it began.
    fn pass_over_from(&mut self) -> Result<Place, Problem> {
        let mut depth = 0_usize;
        let mut began = None;
        loop {
            let (event, place) = self.next_node()?;
            let began = began.get_or_insert(place);
            match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 || matches!(event, Event::StreamEnd) {
                return Ok(began.clone());
            }
        }
    }

    fn peeked(&mut self) -> Result<&Event<'t>, Problem> {
        match self.nodes.peek() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(problem(self.text, &error)),
            None => Ok(&Event::StreamEnd),
        }
    }

    /// The next event that is of a node, or the end of the text.
    fn next_node(&mut self) -> Result<(Event<'t>, Place), Problem> {
        loop {
            match self.nodes.next_event() {
                None => return Ok((Event::StreamEnd, self.text.len()..self.text.len())),
                Some(Err(error)) => return Err(problem(self.text, &error)),
                Some(Ok((Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _))) => {}
                Some(Ok((event, span))) => return Ok((event, place(&span))),
            }
        }
    }
}

fn place(span: &Span) -> Place {
    span.byte_range().unwrap_or(0..0)
}

fn problem(text: &str, error: &ScanError) -> Problem {
    let start = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let end = text[start..].chars().next().map_or(start, |character| start + character.len_utf8());
    Problem::error(start..end, format!("it is neither YAML nor JSON: {}", error.info()))
}

/// What an event is, to whoever wrote it.
const fn kind(event: &Event<'_>) -> &'static str {
    match event {
        Event::MappingStart(..) => "a mapping",
        Event::SequenceStart(..) => "a list",
        Event::Scalar(..) => "a text",
        Event::Alias(..) => "an alias, which is not followed",
        _ => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::draft::Draft;
    use crate::file;

    /// What the syntax of YAML and JSON is made of, and of paths.
    const PIECES: [&str; 24] = [
        "{", "}", "[", "]", ":", ": ", "- ", "? ", "&a ", "*a", "<<: *a\n", "!t ", "\"", "'", "\n", "\n  ",
        "#", "| ", "\u{0}", "\\u009b", "---\n", "/", "%", "\u{202e}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_document_brings_its_reader_down(
            edits in prop::collection::vec((0_usize..400, 0..PIECES.len(), any::<bool>()), 0..6),
        ) {
            let mut text = "openapi: 3.1.0\ninfo: {title: \"Shop\", x: [1]}\nservers:\n- url: https://a.example/v1\n\
                paths:\n  /orders: &a\n    get: {summary: |\n}\n  '/orders/{id}': *a\n  /stock/a b:\n    - x\n".to_owned();
            for (at, piece, replaces) in edits {
                let at = at % (text.len() + 1);
                if text.is_char_boundary(at) && text.is_char_boundary(at + usize::from(replaces && at < text.len())) {
                    text.replace_range(at..at + usize::from(replaces && at < text.len()), PIECES[piece]);
                }
            }
            match read_openapi(&text) {
                Ok((paths, _)) => {
                    let draft = Draft::of_openapi("a.yaml", paths).text();
                    let reading = file::read(&draft, &|_| Err(String::new()));
                    prop_assert!(reading.problems.is_empty(), "{:#?}\n{text}", reading.problems);
                }
                Err(problems) => {
                    prop_assert!(!file::render(&problems, "a.yaml", &text, false).is_empty());
                }
            }
        }
    }

    #[test]
    fn a_path_is_cut_to_the_route_that_serves_it() {
        for (path, expected) in [
            ("/orders", "/orders"),
            ("/orders/", "/orders"),
            ("/orders/{id}", "/orders"),
            ("/orders/{id}/items", "/orders"),
            ("/files/report-{id}.pdf", "/files"),
            ("/{tenant}/orders", "/"),
            ("/", "/"),
            ("/a b/%7Ec", "/a%20b/~c"),
            ("/v1/orders:batch", "/v1/orders:batch"),
            ("/orders?state={state}", "/orders"),
            ("/orders#open", "/orders"),
        ] {
            assert_eq!(route(path).as_deref(), Ok(expected), "{path}");
        }
        for path in ["/a\\b", "/a%2Fb", "/..", &format!("/{}", "a".repeat(300))] {
            assert!(route(path).is_err(), "{path}");
        }
    }

    #[test]
    fn many_routes_are_cut_as_little_as_need_be() {
        let routes = |areas: usize, things: usize| -> Vec<String> {
            let of_area = |area| (0..things).map(move |thing| format!("/v1/{area}/{thing}"));
            (0..areas).flat_map(of_area).collect()
        };
        assert_eq!(few(routes(10, 10)).1, None);
        let (cut, segments) = few(routes(50, 10));
        assert_eq!((cut.len(), &*cut[49], segments), (50, "/v1/49", Some(2)));
        assert_eq!(few(routes(200, 2)), (vec!["/v1".to_owned()], Some(1)));
        let flat = (0..200).map(|number| format!("/{number}")).collect();
        assert_eq!(few(flat), (vec!["/".to_owned()], Some(0)));
    }
}
