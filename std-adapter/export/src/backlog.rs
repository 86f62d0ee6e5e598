//! Messages that an unavailable peer has not taken yet: kept in order, limited in size, and tried again.

use crate::http::asked_pause;
use crate::ledger::DropReason;
use crate::{Deadline, ExportError};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Messages in the order in which they are sent.
#[derive(Debug)]
pub(crate) struct Backlog {
    messages: VecDeque<Message>,
    /// Bytes of all messages, and the most bytes kept.
    bytes: usize,
    most: usize,
    /// Number of records in all messages.
    records: u64,
    /// Number of records that found no room since the last delivery.
    overflow: u64,
    /// When to try again, after which pause, and why sending failed; `None` while it works.
    away: Option<Away>,
}

#[derive(Debug)]
struct Message {
    body: Vec<u8>,
    records: u64,
}

/// A peer that takes nothing now.
#[derive(Debug)]
pub(crate) struct Away {
    next: Instant,
    pause: Duration,
    pub(crate) why: String,
}

impl Away {
    /// Notes a failed attempt. Returns the pause before the next one: the one that was asked for, or twice the last.
    pub(crate) fn note(of: &mut Option<Away>, why: String, asked: Option<Duration>) -> Duration {
        let pause = of.as_ref().map_or(FIRST_PAUSE, |away| (away.pause * 2).min(LONGEST_PAUSE));
        let wait = asked_pause(asked).unwrap_or(pause);
        *of = Some(Away { next: Instant::now() + wait, pause, why });
        wait
    }

    /// Whether the next attempt is not due yet.
    pub(crate) fn is_too_early(&self) -> bool {
        Instant::now() < self.next
    }
}

/// Why a message was not taken.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A later attempt may succeed, after this pause if the peer asked for one.
    Later { why: String, after: Option<Duration> },
    /// No later attempt can succeed.
    Never { why: String, reason: DropReason },
    /// It was taken, except for this many of its records.
    Partly { why: String, reason: DropReason, records: u64 },
}

impl Backlog {
    /// Keeps at most `most` bytes of messages, but always at least one message.
    pub(crate) fn new(most: usize) -> Backlog {
        Backlog { messages: VecDeque::new(), bytes: 0, most, records: 0, overflow: 0, away: None }
    }

    /// Number of records that wait.
    pub(crate) fn held(&self) -> u64 {
        self.records
    }

    /// The message that is sent next, and the number of its records.
    pub(crate) fn front(&self) -> Option<(&[u8], u64)> {
        self.iter().next()
    }

    /// The messages in order, each with the number of its records.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.messages.iter().map(|message| (&*message.body, message.records))
    }

    /// The number of records that found no room since this was last called.
    pub(crate) fn take_overflow(&mut self) -> u64 {
        std::mem::take(&mut self.overflow)
    }

    /// Puts a message at the end. If there is no room for it, the next [`deliver`](Backlog::deliver) counts
    /// its records as lost.
    pub(crate) fn push(&mut self, body: Vec<u8>, records: u64) {
        if !self.messages.is_empty() && self.bytes + body.len() > self.most {
            self.overflow += records;
            return;
        }
        self.bytes += body.len();
        self.records += records;
        self.messages.push_back(Message { body, records });
    }

    /// Sends the waiting messages in order, until one is not taken. While the peer is unavailable, this
    /// returns the same error until the next attempt is due; with `last`, it tries until the deadline.
    pub(crate) fn deliver(
        &mut self,
        deadline: &Deadline,
        last: bool,
        mut send: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), ExportError> {
        let mut lost = Lost::default();
        let overflow = self.take_overflow();
        while let Some(message) = self.messages.front() {
            if !last && self.away.as_ref().is_some_and(Away::is_too_early) {
                break;
            }
            match send(&message.body) {
                Ok(()) => {
                    self.away = None;
                    self.pop();
                }
                Err(Failure::Never { why, reason }) => {
                    self.away = None;
                    lost.add(reason, self.pop(), why);
                }
                Err(Failure::Partly { why, reason, records }) => {
                    self.away = None;
                    lost.add(reason, self.pop().min(records), why);
                }
                Err(Failure::Later { why, after }) => {
                    let wait = Away::note(&mut self.away, why, after);
                    if !last || !deadline.pause(wait) {
                        break;
                    }
                }
            }
        }
        if let Some(away) = &self.away {
            lost.add(DropReason::Unreachable, overflow, away.why.clone());
        } else if overflow > 0 {
            lost.add(DropReason::QueueFull, overflow, "more came at once than may wait".into());
        }
        lost.into_result()
    }

    /// Removes the message at the front. Returns the number of its records.
    pub(crate) fn pop(&mut self) -> u64 {
        let Some(message) = self.messages.pop_front() else { return 0 };
        self.bytes -= message.body.len();
        self.records -= message.records;
        message.records
    }
}

/// What was lost, and why: an error for each reason.
#[derive(Debug, Default)]
pub(crate) struct Lost(Vec<ExportError>);

impl Lost {
    pub(crate) fn add(&mut self, reason: DropReason, records: u64, why: String) {
        match self.0.iter_mut().find(|error| error.reason == reason) {
            Some(error) => error.lost += records,
            None => self.0.push(ExportError::new(reason, records, why)),
        }
    }

    pub(crate) fn into_result(self) -> Result<(), ExportError> {
        let mut errors = self.0.into_iter();
        errors.next().map_or(Ok(()), |first| Err(ExportError { others: errors.collect(), ..first }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(after: Option<Duration>) -> Failure {
        Failure::Later { why: "away".into(), after }
    }

    #[test]
    fn what_is_not_taken_waits_in_order_and_in_bounds() {
        let mut backlog = Backlog::new(5);
        for message in ["abc", "de", "f"] {
            backlog.push(message.into(), 10);
        }
        let long = Some(Duration::from_secs(3600));
        let error = backlog.deliver(&Deadline::never(), false, |_| Err(later(long))).unwrap_err();
        assert_eq!((error.reason, error.lost, backlog.held()), (DropReason::Unreachable, 10, 20));
        let error = backlog.deliver(&Deadline::never(), false, |_| panic!("it is too early")).unwrap_err();
        assert_eq!((&*error.message, error.lost, backlog.held()), ("away", 0, 20));
        let mut sent = Vec::new();
        let taken = |body: &[u8]| {
            sent.push(body.to_vec());
            Ok(())
        };
        backlog.deliver(&Deadline::never(), true, taken).unwrap();
        assert_eq!((sent, backlog.held()), (vec![b"abc".to_vec(), b"de".to_vec()], 0));
    }

    #[test]
    fn a_message_that_will_never_be_taken_holds_up_no_other() {
        let mut backlog = Backlog::new(100);
        ["a", "b", "c"].into_iter().for_each(|message| backlog.push(message.into(), 1));
        let never = |body: &[u8]| match body {
            b"b" => Err(Failure::Never { why: "no b".into(), reason: DropReason::Refused }),
            _ => Ok(()),
        };
        let error = backlog.deliver(&Deadline::never(), false, never).unwrap_err();
        assert_eq!((error.reason, error.lost, &*error.message), (DropReason::Refused, 1, "no b"));
        assert_eq!(backlog.held(), 0);
    }

    #[test]
    fn each_reason_has_its_own_count() {
        let mut backlog = Backlog::new(100);
        ["a", "b", "c"].into_iter().for_each(|message| backlog.push(message.into(), 1));
        let never = |body: &[u8]| match body {
            b"b" => Err(Failure::Never { why: "no b".into(), reason: DropReason::WriteError }),
            _ => Err(Failure::Never { why: "no".into(), reason: DropReason::Refused }),
        };
        let error = backlog.deliver(&Deadline::never(), false, never).unwrap_err();
        assert_eq!((error.reason, error.lost, &*error.message), (DropReason::Refused, 2, "no"));
        assert_eq!(error.others, [ExportError::new(DropReason::WriteError, 1, "no b")]);
    }

    #[test]
    fn the_last_delivery_ends_at_the_deadline_and_no_pause_overflows() {
        for after in [None, Some(Duration::MAX)] {
            let mut backlog = Backlog::new(100);
            backlog.push("a".into(), 1);
            let deadline = Deadline::within(Duration::from_millis(1));
            let error = backlog.deliver(&deadline, true, |_| Err(later(after))).unwrap_err();
            assert_eq!((error.lost, backlog.held()), (0, 1));
        }
    }

    #[test]
    fn a_message_larger_than_all_room_is_sent_by_itself() {
        let mut backlog = Backlog::new(1);
        backlog.push("long".into(), 1);
        backlog.push("b".into(), 1);
        let error = backlog.deliver(&Deadline::never(), false, |_| Ok(())).unwrap_err();
        assert_eq!((error.reason, error.lost), (DropReason::QueueFull, 1));
    }
}
