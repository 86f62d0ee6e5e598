//! Sends requests on a thread of its own, so that a slow or missing collector delays neither the display nor
//! the reading of a live stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use throughline_export::otlp::{Client, SendError, Signal};

use crate::say;

/// Number of requests that may wait for the collector; each has about a megabyte at most.
const WAITING: usize = 16;

/// A queue of requests and the thread that sends them.
pub(super) struct Sender {
    queue: SyncSender<Request>,
    thread: JoinHandle<Outcome>,
    /// Set when nothing more comes: after a failure the remaining requests are then dropped too.
    closing: Arc<AtomicBool>,
    /// For a live stream, nothing waits for room in the queue.
    is_live: bool,
    no_room: u64,
}

/// A request body, and the number of device records in it.
pub(super) struct Request {
    pub(super) signal: Signal,
    pub(super) body: Vec<u8>,
    pub(super) records: u64,
}

/// The outcome of the records.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) delivered: u64,
    pub(super) rejected: u64,
    pub(super) undelivered: u64,
    /// Number of records of a live stream that found no room in the queue, because the collector was too
    /// slow.
    pub(super) no_room: u64,
    /// The last failure.
    pub(super) failure: Option<SendError>,
}

impl Sender {
    pub(super) fn new(client: Client, is_live: bool) -> Sender {
        let (queue, requests) = sync_channel(WAITING);
        let closing = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&closing);
        let thread = thread::spawn(move || run(client, &requests, &seen));
        Sender { queue, thread, closing, is_live, no_room: 0 }
    }

    /// Queues a request. If the queue is full, a file waits; a request of a live stream is dropped and
    /// counted.
    pub(super) fn send(&mut self, request: Request) {
        let full = if self.is_live {
            match self.queue.try_send(request) {
                Ok(()) => None,
                Err(TrySendError::Full(request) | TrySendError::Disconnected(request)) => Some(request),
            }
        } else {
            self.queue.send(request).err().map(|unsent| unsent.0)
        };
        self.no_room += full.map_or(0, |request| request.records);
    }

    /// Waits until everything queued is sent or given up.
    pub(super) fn finish(self) -> Outcome {
        self.closing.store(true, Ordering::Relaxed);
        drop(self.queue);
        let outcome = self.thread.join().unwrap_or_default();
        Outcome { no_room: self.no_room, ..outcome }
    }
}

fn run(mut client: Client, requests: &Receiver<Request>, closing: &AtomicBool) -> Outcome {
    let mut outcome = Outcome::default();
    for Request { signal, body, records } in requests {
        if closing.load(Ordering::Relaxed) && outcome.failure.is_some() {
            outcome.undelivered += records;
            continue;
        }
        match client.send(signal, &body) {
            Ok(answer) => {
                outcome.delivered += records.saturating_sub(answer.rejected);
                outcome.rejected += answer.rejected;
                if !answer.message.is_empty() {
                    say(&format_args!("the collector says: {}", answer.message));
                }
            }
            // Continue after an error, because the rest may still be delivered.
            Err(error) => {
                outcome.undelivered += records;
                // Report the first failure at once; the last one is reported at the end.
                if outcome.failure.is_none() {
                    say(&format_args!("{records} records were not delivered: {error}"));
                }
                outcome.failure = Some(error);
            }
        }
    }
    outcome
}
