//! Paths in disguise: what the gateway makes of them, beside what nginx makes of them with the same routes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use ::gateway::{GatewayConfig, Paths, Route, Routes, UpstreamId};
use tempfile::TempDir;

use crate::client::Client;
use crate::gateway::Gateway;
use crate::upstream::{Reply, Upstream, ok};

/// The route of all the others, if there is one, that of an application that needs no token, and that of one that does.
const ROUTES: [&str; 3] = ["/", "/assets", "/account"];

/// An nginx with these routes, each of which says its name.
struct Nginx {
    child: Child,
    folder: TempDir,
}

impl Nginx {
    /// `None` where there is no nginx, and need not be one.
    fn with_routes() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let locations = ROUTES[1..]
            .iter()
            // As whole segments.
            .map(|route| format!("location = {route} {{ return 200 {route}; }} location {route}/ {{ return 200 {route}; }}\n"))
            .collect::<Vec<_>>()
            .concat();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {what};\n"))
            .concat();
        let configuration = format!(
            "daemon off; master_process off; pid pid; error_log stderr notice; events {{}}\n\
             http {{ access_log off; {temporary} server {{ listen unix:nginx.sock;\n\
             location / {{ return 200 /; }}\n{locations} }} }}\n"
        );
        fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let mut command = Command::new("nginx");
        command.env("PATH", path).current_dir(folder.path()).stdin(Stdio::null()).stderr(Stdio::piped());
        let Ok(mut child) = command.args(["-e", "stderr", "-p", ".", "-c", "nginx.conf"]).spawn() else {
            let required = !std::env::var("TUESDAY_REQUIRE_TOOLS").unwrap_or_default().is_empty();
            assert!(!required, "there is no nginx, and TUESDAY_REQUIRE_TOOLS is set");
            // Straight to standard error: what a test that passes prints by a macro is shown to nobody.
            let _ = writeln!(std::io::stderr(), "SKIPPED: there is no nginx");
            return None;
        };
        // It is one process, which is ended with its test, and listens before it says how many descriptors it may have.
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let (this, mut line) = (Self { child, folder }, String::new());
        while !line.contains("RLIMIT_NOFILE") {
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended: {line}");
        }
        // Whatever it says from now on finds a reader.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Some(this)
    }

    /// The route that serves a target, or the status that it is refused with.
    fn route(&self, target: &str) -> String {
        let mut stream = UnixStream::connect(self.folder.path().join("nginx.sock")).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        if status == "200" { body.to_owned() } else { status.to_owned() }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gateway with these routes, each with an upstream that says the route's name and the target that it was asked for.
fn gateway(paths: Paths, routes: &[&'static str]) -> (Gateway, Vec<Upstream>) {
    let upstream = |route: &&'static str| {
        let route = *route;
        Upstream::answering(move |request| Reply::Send(ok(format!("{route} {}", request.target()))))
    };
    let upstreams: Vec<_> = routes.iter().map(upstream).collect();
    let addresses: Vec<_> = upstreams.iter().map(|upstream| upstream.address).collect();
    let routes = routes.iter().enumerate().map(|(number, route)| Route {
        path: (*route).to_owned(),
        upstream: UpstreamId(number as u32),
        timeout: None,
        try_timeout: None,
        retry: None,
        concurrency: None,
        auth: true,
    });
    let routes = Routes::reading(paths, routes.collect()).unwrap();
    (Gateway::with(GatewayConfig { routes, ..GatewayConfig::default() }, &addresses, |_| {}), upstreams)
}

/// What comes of a target: the status, or the route that serves it and what its upstream is asked for.
fn asked(gateway: &Gateway, target: &str) -> Result<(String, String), u16> {
    let mut client = Client::connect(gateway.address());
    let answer = client.get(target);
    if answer.status != 200 {
        return Err(answer.status);
    }
    let text = answer.text();
    let (route, target) = text.split_once(' ').unwrap();
    Ok((route.to_owned(), target.to_owned()))
}

/// A target, the route by which nginx serves it or the status by which it refuses it, and what our upstream is asked for on
/// the same route, or nothing where we refuse it.
type Row = (&'static str, &'static str, &'static str);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("/", "/", "/"),
    ("/account", "/account", "/account"),
    ("/account/", "/account", "/account/"),
    ("/account/x?y=/../assets", "/account", "/account/x?y=/../assets"),
    ("/accounts", "/", "/accounts"),
    ("/assets", "/assets", "/assets"),
    ("/assets/app.js", "/assets", "/assets/app.js"),
    ("/assets/..%2faccount", "/account", ""),
    ("/assets/.%2e%2faccount", "/account", ""),
    ("/assets/%2e%2e%2Faccount", "/account", ""),
    ("/assets/x/..%2f..%2faccount", "/account", ""),
    ("/assets%2f..%2faccount", "/account", ""),
    ("/assets/../account", "/account", "/account"),
    ("/assets/./../account", "/account", "/account"),
    ("/assets/%2e%2e/account", "/account", "/account"),
    ("/assets/.%2E/account", "/account", "/account"),
    ("/assets/%2e./account/x", "/account", "/account/x"),
    ("/assets/x/../../account", "/account", "/account"),
    ("/assets//../account", "/account", "/account"),
    ("/assets/..//account", "/account", "/account"),
    ("/assets/../../account", "400", ""),
    ("/../account", "400", ""),
    ("/..", "400", ""),
    ("/%2e%2e/account", "400", ""),
    ("/./account", "/account", "/account"),
    ("/%2e/account", "/account", "/account"),
    ("/account/.", "/account", "/account/"),
    ("/account/..", "/", "/"),
    ("/account/../assets", "/assets", "/assets"),
    ("/account/%2e%2e", "/", "/"),
    ("//account", "/account", "/account"),
    ("///account//", "/account", "/account/"),
    ("/%2faccount", "/account", ""),
    ("/%2Faccount", "/account", ""),
    ("/account%2f", "/account", ""),
    ("/account%2fx", "/account", ""),
    ("/%61ccount", "/account", "/account"),
    ("/%41ccount", "/", "/Account"),
    ("/a%63coun%74/%78", "/account", "/account/x"),
    ("/%2561ccount", "/", "/%2561ccount"),
    ("/account%3f", "/", "/account%3F"),
    ("/account%3fx", "/", "/account%3Fx"),
    ("/account%23", "/", "/account%23"),
    ("/account%20", "/", "/account%20"),
    ("/account%00", "400", ""),
    ("/account%00/x", "400", ""),
    ("/account%0a", "/", "/account%0A"),
    ("/account%2e", "/", "/account."),
    ("/account.", "/", "/account."),
    ("/account;", "/", ""),
    ("/account;x=1", "/", ""),
    ("/account;x/../assets", "/assets", "/assets"),
    ("/;x/account", "/", ""),
    ("/assets/;x/../account", "/assets", ""),
    ("/account%3bx", "/", ""),
    ("/assets/x;y", "/assets", "/assets/x;y"),
    ("/assets/..;/account", "/assets", ""),
    ("/assets/..;x=1/account", "/assets", ""),
    ("/assets/.;/account", "/assets", ""),
    ("/assets/..%3b/account", "/assets", ""),
    ("/assets/..\\account", "/assets", ""),
    ("/assets\\..\\account", "/", ""),
    ("/assets/..%5caccount", "/assets", ""),
    ("\\account", "400", ""),
    ("/%5caccount", "/", ""),
    ("/account\\", "/", ""),
    ("/assets/...", "/assets", "/assets/..."),
    ("/assets/..account", "/assets", "/assets/..account"),
    ("/assets/..%20/account", "/assets", "/assets/..%20/account"),
    ("/ACCOUNT", "/", "/ACCOUNT"),
    ("/accöunt", "/", "/acc%C3%B6unt"),
    ("/acc%c3%b6unt", "/", "/acc%C3%B6unt"),
    ("/account%", "400", ""),
    ("/account%6", "400", ""),
    ("/%zzaccount", "400", ""),
    ("/%u0061ccount", "400", ""),
    ("/account#x", "/account", "/account"),
    ("/account#/../assets", "/account", "/account"),
    ("/assets#/../account", "/assets", "/assets"),
    ("/account+", "/", "/account+"),
    ("/account%2b", "/", "/account%2B"),
    ("/account|", "/", "/account%7C"),
    ("/account%7c", "/", "/account%7C"),
    ("http://a/account", "/account", "/account"),
    ("http://a//account", "/account", "/account"),
    ("http://a/assets/..%2faccount", "/account", ""),
    ("http://a/assets/../account", "/account", "/account"),
    ("http://a", "/", "/"),
    ("http://a?x=/account", "/", "/?x=/account"),
    ("HTTP://A/account", "/account", "/account"),
    ("https://a/account", "/account", "/account"),
    ("ftp://a/account", "/account", ""),
    ("http:/account", "400", ""),
    ("http:account", "400", ""),
    ("http:///account", "400", ""),
    ("*", "400", ""),
    ("account", "400", ""),
    ("?/account", "400", ""),
    ("/?/account", "/", "/?/account"),
    ("/assets?/../account", "/assets", "/assets?/../account"),
];

#[test]
fn a_path_in_disguise_comes_to_the_route_by_which_nginx_serves_it_or_to_none() {
    let nginx = Nginx::with_routes();
    let (open, _upstreams) = gateway(Paths::Normal, &ROUTES);
    let (closed, _closed_upstreams) = gateway(Paths::Normal, &ROUTES[1..]);
    assert!(TABLE.len() >= 60, "{}", TABLE.len());
    let mut wrong = Vec::new();
    for (target, theirs, passed) in TABLE {
        let ours = asked(&open, target);
        let must =
            if passed.is_empty() { Err(400) } else { Ok(((*theirs).to_owned(), (*passed).to_owned())) };
        if ours != must {
            wrong.push(format!("{target}: {ours:?}, where it must be {must:?}"));
        }
        // Without a route for all the others, those are nobody's.
        let ours = asked(&closed, target);
        let must = match must {
            Ok((route, _)) if route == "/" => Err(404),
            must => must,
        };
        if ours != must {
            wrong.push(format!("{target}, without `/`: {ours:?}, where it must be {must:?}"));
        }
        let Some(nginx) = &nginx else { continue };
        if nginx.route(target) != *theirs {
            wrong.push(format!("{target}: nginx says {}, and not {theirs}", nginx.route(target)));
        }
        // What is passed on is what was judged: nginx, asked in our upstream's place, says the same.
        if !passed.is_empty() && nginx.route(passed) != *theirs {
            wrong.push(format!("{passed} for {target}: nginx says {}", nginx.route(passed)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_path_is_taken_as_it_was_written_where_the_file_says_so() {
    let (gateway, _upstreams) = gateway(Paths::Verbatim, &["/", "/projects/a%2Fb"]);
    for (target, route) in [
        ("/projects/a%2Fb/files", "/projects/a%2Fb"),
        // The same path to one who decodes, another one to us.
        ("/projects/a%2fb/files", "/"),
        ("//projects/%61%00;x\\?a//b", "/"),
    ] {
        assert_eq!(asked(&gateway, target), Ok((route.to_owned(), target.to_owned())), "{target}");
    }
    for target in ["/projects/../x", "/projects/.%2e/x"] {
        assert_eq!(asked(&gateway, target), Err(400), "{target}");
    }
}
