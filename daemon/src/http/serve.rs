//! Connections: taken, encrypted where the access file says so, and ended when they hold others up.
//!
//! Whatever a client can make wait has a deadline: the handshake, the head of a request (an idle connection as well), its answer,
//! and the reading of that. How many there are at once is in `access::connections`.

use crate::access::connections::{Came, Connections, Held, Place};
use crate::access::slow::network;
use crate::access::{self, Gate, Peer, Refusal};
use axum::Router;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The largest head, in bytes; a series' name may take 16 kB of it, twice over when it is percent-encoded. What comes in one go
/// may be longer where it is read: the router refuses that.
pub const HEAD_MAX: usize = 64 << 10;

/// A connection that sends no whole head for so long is closed, an idle one too; so is one whose handshake takes longer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that takes nothing of its answer for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests in flight may take to finish when the daemon stops, or the access file changed.
const DRAIN: Duration = Duration::from_secs(5);

/// The two ways to say that a connection's world ends.
#[derive(Clone)]
struct Ends {
    stopping: watch::Receiver<bool>,
    /// Another access file: who is let in is asked anew.
    changed: watch::Receiver<u64>,
}

impl Ends {
    /// Whether it is the file alone.
    async fn either(&mut self) -> bool {
        tokio::select! {
            // The sender going away means the same.
            _ = self.stopping.wait_for(|stop| *stop) => false,
            _ = self.changed.changed() => true,
        }
    }
}

/// Takes connections until `stopping` turns true, then finishes what is in flight.
pub async fn connections(
    listener: TcpListener,
    router: Router,
    gate: Arc<Gate>,
    connections: Arc<Connections>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut tasks = JoinSet::new();
    let stopped = stopping.clone();
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => break,
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok((stream, from)) => (stream, from.ip().to_canonical()),
            // Out of file descriptors, mostly: one of the open connections has to end first.
            Err(error) => {
                tracing::warn!("accepting a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let place = match connections.come(address) {
            Came::In(place) => place,
            Came::InPlaceOf(place) => {
                gate.tally.displaced.fetch_add(1, Ordering::Relaxed);
                place
            }
            Came::NoRoom => {
                gate.tally.turned_away.fetch_add(1, Ordering::Relaxed);
                continue;
            }
        };
        // Answers are written whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let ends = Ends { stopping: stopped.clone(), changed: gate.changes() };
        tasks.spawn(connection(stream, address, router.clone(), Arc::clone(&gate), place, ends));
    }
    drop(listener);
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        tracing::warn!("requests were still in flight after {} s and are cut off", DRAIN.as_secs());
    }
}

/// One more as long as it lives.
struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicU64) -> Counted<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(stream: TcpStream, address: IpAddr, router: Router, gate: Arc<Gate>, place: Place, ends: Ends) {
    let _counted = Counted::new(&gate.tally.connections);
    let served = async {
        let plain = Peer { address, tls: false, client: None };
        let Some(server) = gate.policy().tls.as_ref().map(|tls| Arc::clone(&tls.server)) else {
            return serve(stream, plain, router, &gate, &place, ends).await;
        };
        match tokio::time::timeout(HEAD_TIMEOUT, TlsAcceptor::from(server).accept(Prompt::new(stream))).await {
            Ok(Ok(stream)) => {
                let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                let client = certificate.and_then(access::subject).map(Arc::from);
                serve(stream, Peer { tls: true, client, ..plain }, router, &gate, &place, ends).await;
            }
            failed => {
                gate.tally.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                let why = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => format!("not done after {} s", HEAD_TIMEOUT.as_secs()),
                };
                let mut handshakes = gate.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
                match handshakes.tell(network(address), crate::driver::now()) {
                    Some(before) => tracing::info!(%address, before, "a TLS handshake failed: {why}"),
                    None => tracing::debug!(%address, "a TLS handshake failed: {why}"),
                }
            }
        }
    };
    tokio::select! {
        () = served => {}
        () = place.held.told_to_leave() => {}
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin>(
    stream: S,
    peer: Peer,
    router: Router,
    gate: &Gate,
    place: &Place,
    mut ends: Ends,
) {
    let (asked, plain) = (Arc::new(Notify::new()), !peer.tls);
    let service = Told {
        router: TowerToHyperService::new(router),
        peer,
        held: Arc::clone(&place.held),
        asked: Arc::clone(&asked),
    };
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_MAX);
    // Who has said everything may say so, and still wants the answer.
    builder.half_close(true);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(Prompt::new(stream)), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        changed = ends.either() => {
            // Whoever has just come and asked nothing yet has nothing of the file before: without TLS each request says anew who
            // it is from, and the first is answered.
            if changed && plain {
                tokio::select! {
                    _ = connection.as_mut() => return,
                    () = asked.notified() => {}
                    _ = ends.stopping.wait_for(|stop| *stop) => {}
                }
            }
            connection.as_mut().graceful_shutdown();
            // What does not end by itself, like a stream of events, is cut off.
            match tokio::time::timeout(DRAIN, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    // A client that goes away or talks nonsense is its own business.
    if let Err(error) = ended {
        if error.is_timeout() {
            gate.tally.refused(Refusal::TooSlow);
        } else if error.is_parse_too_large() {
            gate.tally.refused(Refusal::TooLarge);
        }
        tracing::debug!("connection: {error}");
    }
}

/// Hands each request on with what is known of its connection.
struct Told {
    router: TowerToHyperService<Router>,
    peer: Peer,
    held: Arc<Held>,
    /// Told with each request.
    asked: Arc<Notify>,
}

impl Service<hyper::Request<Incoming>> for Told {
    type Response = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Future;

    fn call(&self, mut request: hyper::Request<Incoming>) -> Self::Future {
        self.asked.notify_one();
        request.extensions_mut().insert(self.peer.clone());
        request.extensions_mut().insert(Arc::clone(&self.held));
        self.router.call(request)
    }
}

/// A stream whose other end has to take what is written.
struct Prompt<S> {
    stream: S,
    /// Runs while something is to be written and nothing is taken.
    waits: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<S> Prompt<S> {
    fn new(stream: S) -> Prompt<S> {
        Prompt { stream, waits: None }
    }

    fn judged<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waits = None;
            return polled;
        }
        let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
        waits.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prompt<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prompt<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judged(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        all: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, all);
        self.judged(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.judged(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judged(context, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_an_answer_is_gone_and_who_takes_some_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let mut ours = Prompt::new(ours);
        let begun = tokio::time::Instant::now();
        ours.write_all(&[0; 1000]).await.expect("there is room");
        let mut taken = [0; 500];
        let (wrote, read) = tokio::join!(ours.write_all(&[1; 400]), async {
            tokio::time::sleep(WRITE_TIMEOUT - Duration::from_secs(1)).await;
            theirs.read_exact(&mut taken).await
        });
        assert!(wrote.is_ok() && read.is_ok());
        let error = ours.write_all(&[2; 400]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 2 * WRITE_TIMEOUT.as_secs() - 1);
    }
}
