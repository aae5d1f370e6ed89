//! The admin port: where those who run a gateway look at it, apart from where it serves.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval, sleep};

use super::Metrics;

/// Connections at once. For one more, the one that has neither sent nor taken a byte for longest is closed.
const CONNECTIONS: usize = 64;

/// Of these, as many may follow events; the others are for those who ask and go, such as Prometheus.
const FOLLOWERS: usize = CONNECTIONS / 2;

/// How long a client may take to say what it wants, and to take a byte of what it is told.
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
    /// Serves a site over HTTP/1.1. Port 0 takes any free one. Requests may ask for an address, for `localhost` or for one of
    /// `hosts`: names without a port, compared without regard to case.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on, or there is no thread to be had.
    pub fn start(listen: SocketAddr, hosts: &[String], site: Arc<dyn Site>) -> io::Result<Self> {
        let listener = StdListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let hosts = hosts.into();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    // Dropped counts as told.
                    _ = stopped => {}
                    () = accept(listener, hosts, site) => {}
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

async fn accept(listener: StdListener, hosts: Arc<[String]>, site: Arc<dyn Site>) {
    // Failing that, there is nothing to serve; it has been bound and set up before.
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let visitors = Rc::new(RefCell::new(Visitors::default()));
    let followers = Arc::new(Semaphore::new(FOLLOWERS));
    let serving = LocalSet::new();
    let accept = async {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                visitors.borrow_mut().close_one();
                sleep(Duration::from_millis(5)).await;
                continue;
            };
            if visitors.borrow().0.len() >= CONNECTIONS {
                visitors.borrow_mut().close_one();
            }
            let stirred = Rc::new(Cell::new(Instant::now()));
            let visit = Visit {
                site: Arc::clone(&site),
                hosts: Arc::clone(&hosts),
                followers: Arc::clone(&followers),
            };
            let task = spawn_local(visit.serve(stream, Rc::clone(&stirred)));
            let mut visitors = visitors.borrow_mut();
            visitors.0.retain(|visitor| !visitor.task.is_finished());
            visitors.0.push(Visitor { task: task.abort_handle(), stirred });
        }
    };
    serving.run_until(accept).await;
}

/// Those who are connected.
#[derive(Default)]
struct Visitors(Vec<Visitor>);

struct Visitor {
    task: AbortHandle,
    /// When it last sent or took a byte.
    stirred: Rc<Cell<Instant>>,
}

impl Visitors {
    /// Closes the connection on which nothing has happened for longest.
    fn close_one(&mut self) {
        self.0.retain(|visitor| !visitor.task.is_finished());
        let longest = (0..self.0.len()).min_by_key(|place| self.0[*place].stirred.get());
        if let Some(longest) = longest {
            self.0.swap_remove(longest).task.abort();
        }
    }
}

/// What a connection needs to be served.
struct Visit {
    site: Arc<dyn Site>,
    hosts: Arc<[String]>,
    followers: Arc<Semaphore>,
}

impl Visit {
    async fn serve(self, stream: TcpStream, stirred: Rc<Cell<Instant>>) {
        let _ = stream.set_nodelay(true);
        let answer = move |request: Request<Incoming>| {
            let response = self.answer(&request);
            async { Ok::<_, Infallible>(response) }
        };
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        let io = VisitorIo { stream, stirred, alarm: None };
        let _ = builder.serve_connection(TokioIo::new(io), service_fn(answer)).await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<PageBody> {
        let fail = |status: StatusCode, why: &str| {
            let body = Bytes::from(format!("{status}{why}\n"));
            (status, "text/plain; charset=utf-8", PageBody::Document(Some(body)))
        };
        let (status, kind, body) = match *request.method() {
            _ if !is_asked_by_known_name(request, &self.hosts) => {
                fail(StatusCode::MISDIRECTED_REQUEST, ": ask for an address or for localhost")
            }
            Method::GET | Method::HEAD => match self.site.get(request.uri().path()) {
                Some(Page::Document { kind, body }) => (StatusCode::OK, kind, PageBody::Document(Some(body))),
                Some(Page::Events { every, next }) => match Arc::clone(&self.followers).try_acquire_owned() {
                    Ok(place) => {
                        let mut ticks = interval(every);
                        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                        let events = PageBody::Events { ticks, next, _place: place };
                        (StatusCode::OK, "text/event-stream", events)
                    }
                    Err(_) => fail(StatusCode::SERVICE_UNAVAILABLE, ": others follow already"),
                },
                None => fail(StatusCode::NOT_FOUND, ""),
            },
            _ => fail(StatusCode::METHOD_NOT_ALLOWED, ""),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match status {
            StatusCode::METHOD_NOT_ALLOWED => {
                _ = headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                _ = headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
            }
            _ => {}
        }
        response
    }
}

/// Whether a request is for this place by its address, for `localhost`, or for one of `hosts`. By any other name a page from elsewhere may ask, in the
/// browser of whoever looks at a gateway: its owner has that name lead to loopback, and the browser takes both for one site (DNS
/// rebinding). No browser leaves the field out.
fn is_asked_by_known_name(request: &Request<Incoming>, hosts: &[String]) -> bool {
    let mut fields = request.headers().get_all(HOST).iter();
    let host = match (fields.next(), fields.next()) {
        (None, _) => return request.version() < Version::HTTP_11,
        (Some(_), Some(_)) => return false,
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
    };
    let is_known = |authority: &Authority| {
        names_an_address(authority) || hosts.iter().any(|host| host.eq_ignore_ascii_case(authority.host()))
    };
    host.is_some_and(|host| is_known(&host)) && request.uri().authority().is_none_or(is_known)
}

fn names_an_address(authority: &Authority) -> bool {
    let host = authority.host();
    let version6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok()
        || version6.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok())
}

/// A connection that notes when bytes pass, and fails once its client has taken none for too long.
struct VisitorIo {
    stream: TcpStream,
    stirred: Rc<Cell<Instant>>,
    /// Set while a byte waits to be taken.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl VisitorIo {
    fn note_written(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.alarm = None;
            self.stirred.set(Instant::now());
            return polled;
        }
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        alarm.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for VisitorIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.stirred.set(Instant::now());
        }
        polled
    }
}

impl AsyncWrite for VisitorIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_written(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note_written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

enum PageBody {
    Document(Option<Bytes>),
    Events { ticks: Interval, next: Box<dyn FnMut() -> Option<String> + Send>, _place: OwnedSemaphorePermit },
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
            Self::Events { ticks, next, .. } => loop {
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
