//! The thread that collects samples: it empties the rings, follows threads and libraries as they come and go, and hands
//! over profiles.

use super::handler::RawSample;
use super::table::Table;
use super::{Control, CpuSource, Sink, threads};
use crate::modules;
use crate::profile::{Kind, Losses, Profile, Sampling};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};

/// How often the rings are emptied. New threads and libraries are found as often.
const ROUND: Duration = Duration::from_millis(100);

pub(super) struct Collector {
    frequency: u32,
    source: CpuSource,
    windows: Option<(Duration, Sink)>,
    window: Window,
}

struct Window {
    started: SystemTime,
    begun: Instant,
    table: Table,
    threads: Vec<(libc::pid_t, String)>,
    losses: Losses,
    signals: u64,
}

impl Window {
    fn new() -> Window {
        Window {
            started: SystemTime::now(),
            begun: Instant::now(),
            table: Table::default(),
            threads: Vec::new(),
            losses: Losses::default(),
            signals: 0,
        }
    }
}

/// The CPU time between two samples, in nanoseconds.
pub(super) fn period(frequency: u32) -> u64 {
    1_000_000_000 / u64::from(frequency)
}

impl Collector {
    pub(super) fn new(frequency: u32, source: CpuSource, windows: Option<(Duration, Sink)>) -> Collector {
        Collector { frequency, source, windows, window: Window::new() }
    }

    /// Samples until it is told to stop, or nobody can tell it any more. Returns the last profile, and to whom it goes.
    pub(super) fn run(mut self, controls: &Receiver<Control>) -> Option<(Sender<Profile>, Profile)> {
        modules::refresh();
        threads::lock().start(period(self.frequency), self.source);
        self.window = Window::new();
        loop {
            match controls.recv_timeout(ROUND) {
                Err(RecvTimeoutError::Timeout) => self.round(),
                Ok(Control::Frequency(frequency)) => {
                    self.frequency = frequency;
                    threads::lock().set_period(period(frequency));
                }
                // A caller that has gone needs no profile.
                Ok(Control::Take(to)) => _ = to.send(self.take()),
                Ok(Control::Stop(to)) => {
                    threads::lock().stop();
                    return Some((to, self.take()));
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn round(&mut self) {
        self.read();
        threads::lock().scan();
        if let Some((every, _)) = self.windows
            && self.window.begun.elapsed() >= every
        {
            let profile = self.take();
            if let Some((_, sink)) = &mut self.windows {
                sink(profile);
            }
        }
    }

    /// Empties the rings. They hold addresses in the modules of the last round, so the table of modules is renewed
    /// afterwards.
    fn read(&mut self) {
        let window = &mut self.window;
        modules::with(|modules| {
            let Some(modules) = modules else { return };
            threads::lock().read(|thread| {
                let mut index = None;
                thread.slot().ring.read(|record| {
                    let Some(sample) = RawSample::parse(record) else { return };
                    let index = *index.get_or_insert_with(|| {
                        let threads = &mut window.threads;
                        let known =
                            threads.iter().rposition(|(id, name)| *id == thread.id && *name == thread.name);
                        known.unwrap_or_else(|| {
                            threads.push((thread.id, thread.name.clone()));
                            threads.len() - 1
                        })
                    });
                    window.table.add(&sample, index as u32, modules);
                });
                let slot = thread.slot();
                window.signals += slot.signals.swap(0, Ordering::Relaxed);
                window.losses.busy += slot.busy_drops.swap(0, Ordering::Relaxed);
                window.losses.ring_full += slot.full_drops.swap(0, Ordering::Relaxed);
            });
        });
        modules::refresh();
    }

    /// Ends the window and begins the next one.
    fn take(&mut self) -> Profile {
        threads::lock().rename();
        self.read();
        let window = std::mem::replace(&mut self.window, Window::new());
        let losses = Losses { table_full: window.table.full_drops, ..window.losses };
        let untimed_threads = threads::lock().take_untimed();
        let delivered = window.table.samples;
        let (stacks, samples, modules) = window.table.into_parts();
        Profile {
            kind: Kind::Cpu(Sampling { frequency: self.frequency, signals: window.signals, untimed_threads }),
            started: window.started,
            duration: window.begun.elapsed(),
            delivered,
            stacks,
            samples,
            modules,
            threads: window.threads,
            label_sets: Vec::new(),
            losses,
        }
    }
}
