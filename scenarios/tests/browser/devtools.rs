//! A real browser, told what to do over the two pipes of its developer tools: no port, no driver, no connection library.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser with one page. It ends with this.
pub(crate) struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    sent: u64,
    session: String,
    /// What the page told by itself.
    pub(crate) events: Vec<Value>,
    _profile: TempDir,
}

/// Whether there is a browser. A machine that is to have one (`TUESDAY_REQUIRE_TOOLS`) fails without.
pub(crate) fn is_there() -> bool {
    let version =
        Command::new("chromium").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let required = std::env::var_os("TUESDAY_REQUIRE_TOOLS").is_some_and(|value| !value.is_empty());
    assert!(version.is_ok() || !required, "chromium is not installed");
    if version.is_err() {
        // Straight to standard error: what a test that passes prints by a macro is shown to nobody.
        let _ = writeln!(std::io::stderr(), "SKIPPED: chromium is not installed");
    }
    version.is_ok()
}

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = TempDir::new().unwrap();
        let [to, from] = ["to", "from"].map(|name| profile.path().join(name));
        let made = Command::new("mkfifo").args([&to, &from]).status().unwrap();
        assert!(made.success());
        // A browser reads its third and writes its fourth descriptor; a shell can give them to it without unsafe code.
        let child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<\"$TO\" 4>\"$FROM\"", "chromium"])
            .env("TO", &to)
            .env("FROM", &from)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = OpenOptions::new().write(true).open(to).unwrap();
        let from = BufReader::new(File::open(from).unwrap());
        let (session, events) = (String::new(), Vec::new());
        let mut browser = Self { child, to, from, sent: 0, session, events, _profile: profile };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attached =
            browser.call("Target.attachToTarget", &json!({"targetId": target["targetId"], "flatten": true}));
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Has something done and returns what came of it.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let message = self.next();
            if message["id"] == json!(self.sent) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn next(&mut self) -> Value {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&message).unwrap()
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) fn open(&mut self, url: &str) {
        self.events.clear();
        self.call("Page.navigate", &json!({"url": url}));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let message = self.next();
            self.events.push(message);
        }
    }

    /// Follows a link that opens a page of its own, and looks at that page from then on.
    pub(crate) fn follow(&mut self, selector: &str) {
        let opener = std::mem::take(&mut self.session);
        let known = self.pages();
        self.session = opener;
        let clicked = json!({"expression": format!("document.querySelector('{selector}').click()"), "userGesture": true});
        self.call("Runtime.evaluate", &clicked);
        self.session.clear();
        let opened = loop {
            if let Some(opened) = self.pages().into_iter().find(|page| !known.contains(page)) {
                break opened;
            }
        };
        let attached = self.call("Target.attachToTarget", &json!({"targetId": opened, "flatten": true}));
        attached["sessionId"].as_str().unwrap().clone_into(&mut self.session);
        self.events.clear();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
        self.value(
            "document.readyState === 'complete' || new Promise(done => addEventListener('load', () => done(true)))",
        );
    }

    /// The pages that are open.
    fn pages(&mut self) -> Vec<Value> {
        let targets = self.call("Target.getTargets", &json!({}));
        let pages =
            targets["targetInfos"].as_array().unwrap().iter().filter(|target| target["type"] == "page");
        pages.map(|target| target["targetId"].clone()).collect()
    }

    /// A window of this size in this colour scheme.
    pub(crate) fn look(&mut self, width: u32, scheme: &str) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", &json!({"media": "screen", "features": features}));
    }

    /// Paper so wide, as a style sheet for print sees it.
    pub(crate) fn print(&mut self, width: u32) {
        self.look(width, "dark");
        self.call("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    }

    /// The value of an expression in the page; a promise is waited for.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", &asked);
        assert!(result["exceptionDetails"].is_null(), "{}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Moves the mouse.
    pub(crate) fn point(&mut self, x: f64, y: f64) {
        self.call("Input.dispatchMouseEvent", &json!({"type": "mouseMoved", "x": x, "y": y}));
    }

    /// Presses a key, by the name of scripts and its old number.
    pub(crate) fn press(&mut self, key: &str, number: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let pressed = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": number});
            self.call("Input.dispatchKeyEvent", &pressed);
        }
    }

    /// Presses the enter key, with the character that makes it do something.
    pub(crate) fn press_enter(&mut self) {
        for kind in ["keyDown", "keyUp"] {
            let mut pressed =
                json!({"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13});
            if kind == "keyDown" {
                pressed["text"] = json!("\r");
            }
            self.call("Input.dispatchKeyEvent", &pressed);
        }
    }

    /// What went wrong in the page: its script's errors, what it wrote as one, what its policy forbade.
    pub(crate) fn errors(&self) -> Vec<&Value> {
        let is_error = |event: &&Value| {
            event["method"] == "Runtime.exceptionThrown"
                || (event["method"] == "Runtime.consoleAPICalled" && event["params"]["type"] == "error")
                || (event["method"] == "Log.entryAdded" && event["params"]["entry"]["level"] == "error")
        };
        self.events.iter().filter(is_error).collect()
    }

    /// What it asked for, the page itself too.
    pub(crate) fn requests(&self) -> Vec<&str> {
        let asked = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        asked.filter_map(|event| event["params"]["request"]["url"].as_str()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
