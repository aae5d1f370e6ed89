//! The admin port: where those who run a gateway look at it, apart from where it serves.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::Metrics;

/// Connections at once; more wait. Who looks at a gateway is few.
const CONNECTIONS: usize = 64;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// The text format of Prometheus.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What there is to look at.
pub trait Site: Send + Sync + 'static {
    /// What a path leads to, if it leads anywhere.
    fn get(&self, path: &str) -> Option<Page>;
}

/// What a path leads to.
pub enum Page {
    /// A document.
    Document {
        /// Its media type.
        kind: &'static str,
        /// What it says.
        body: Bytes,
    },
    /// Server-sent events.
    Events {
        /// How often there may be one.
        every: Duration,
        /// What the next one says, in one line; `None` where there is nothing to say yet.
        next: Box<dyn FnMut() -> Option<String> + Send>,
    },
}

/// An admin port under way, on a thread of its own. Dropped, it closes.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Serves a site over HTTP/1.1. Port 0 takes any free one.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on, or there is no thread to be had.
    pub fn start(listen: SocketAddr, site: Arc<dyn Site>) -> io::Result<Self> {
        let listener = StdListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    // Dropped counts as told.
                    _ = stopped => {}
                    () = accept(listener, site) => {}
                }
            });
        };
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(serve)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: StdListener, site: Arc<dyn Site>) {
    // Failing that, there is nothing to serve; it has been bound and set up before.
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let answer = move |request: Request<Incoming>| {
                let response = answer(&*site, &request);
                async { Ok::<_, Infallible>(response) }
            };
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            drop(permit);
        });
    }
}

fn answer(site: &dyn Site, request: &Request<Incoming>) -> Response<PageBody> {
    let fail = |status: StatusCode| {
        let body = Bytes::from(format!("{status}\n"));
        (status, "text/plain; charset=utf-8", PageBody::Document(Some(body)))
    };
    let (status, kind, body) = match *request.method() {
        Method::GET | Method::HEAD => match site.get(request.uri().path()) {
            Some(Page::Document { kind, body }) => (StatusCode::OK, kind, PageBody::Document(Some(body))),
            Some(Page::Events { every, next }) => {
                let mut ticks = interval(every);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                (StatusCode::OK, "text/event-stream", PageBody::Events { ticks, next })
            }
            None => fail(StatusCode::NOT_FOUND),
        },
        _ => fail(StatusCode::METHOD_NOT_ALLOWED),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

enum PageBody {
    Document(Option<Bytes>),
    Events { ticks: Interval, next: Box<dyn FnMut() -> Option<String> + Send> },
}

impl Body for PageBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Document(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Events { ticks, next } => loop {
                std::task::ready!(ticks.poll_tick(cx));
                if let Some(event) = next() {
                    return Poll::Ready(Some(Ok(Frame::data(format!("data: {event}\n\n").into()))));
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Document(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Document(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Events { .. } => SizeHint::new(),
        }
    }
}

/// `/metrics` for Prometheus, and `/healthz` for whoever asks whether anybody is there.
impl Site for Metrics {
    fn get(&self, path: &str) -> Option<Page> {
        match path {
            "/metrics" => Some(Page::Document { kind: EXPOSITION, body: self.render().into() }),
            "/healthz" => Some(Page::Document { kind: "text/plain; charset=utf-8", body: "ok\n".into() }),
            _ => None,
        }
    }
}
