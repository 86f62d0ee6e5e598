//! Where a future's code is in its trace: kept between polls, and current during them.

use super::Context;
use crate::place::{MARK, is_outside, polled};
use crate::recorder::{Recorder, get};
use crate::ring::Word;
#[cfg(feature = "std")]
use crate::sync::Relaxed;

/// The place of a future's code between polls.
#[derive(Debug)]
pub(crate) struct Resting {
    /// The future's own span.
    own: Context,
    /// The innermost guard that the future's code holds across polls, its recorder, and how often the
    /// recorder's table had been cleared.
    held: Option<(Context, &'static Recorder, Word)>,
}

/// A poll of a future's code. A place of the future is current meanwhile, whatever was current before.
pub(crate) struct Poll<'a> {
    resting: &'a mut Resting,
    recorder: &'static Recorder,
    own: Word,
    before: Context,
    clearings: Word,
}

impl Resting {
    pub(crate) fn new(own: Context) -> Resting {
        Resting { own, held: None }
    }

    fn take_held(&mut self) -> Option<(Context, &'static Recorder, Word)> {
        let held = self.held.take()?;
        held.1.hold(false);
        Some(held)
    }

    /// Moves the running code to the place where the future's code was.
    pub(crate) fn poll(&mut self) -> Option<Poll<'_>> {
        let recorder = get()?;
        let own = polled(self.own.span);
        if recorder.has_ended(own) {
            recorder.forget();
        }
        recorder.count_entered(true);
        let clearings = recorder.clearings();
        let before = recorder.replace(Context { span: own, ..self.own });
        #[cfg(feature = "std")]
        {
            self.own.remote[1] = recorder.remote_cells()[1].load(Relaxed);
        }
        if let Some((held, of, cleared)) = self.take_held()
            && core::ptr::eq(of, recorder)
            && cleared == clearings
        {
            recorder.set_place(0, 0);
            recorder.set_remote(&held.remote);
            recorder.return_to((held.span & !MARK, held.root));
        }
        Some(Poll { resting: self, recorder, own, before, clearings })
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        self.take_held();
    }
}

impl Drop for Poll<'_> {
    fn drop(&mut self) {
        let Poll { recorder, own, before, .. } = *self;
        let now = recorder.raw_context();
        let clearings = recorder.clearings();
        if now.span & !MARK != own && !is_outside(now.span) {
            recorder.hold(true);
            self.resting.held = Some((now, recorder, clearings));
        }
        if clearings == self.clearings {
            recorder.count_entered(false);
        }
        recorder.set_place(0, 0);
        recorder.set_remote(&before.remote);
        // The place before may have ended since. After a clearing that is unknown, so nothing becomes
        // current.
        let before = if clearings == self.clearings { (before.span & !MARK, before.root) } else { (0, 0) };
        recorder.return_to(before);
    }
}
