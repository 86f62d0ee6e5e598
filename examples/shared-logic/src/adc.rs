//! The converter: requests go to an interrupt, samples come back, over queues that neither side ever waits for.

use atomic_waker::AtomicWaker;
use core::future::poll_fn;
use core::task::Poll;
use heapless::spsc::{Consumer, Producer, Queue};
use throughline::{Context, StaticStr, counter, debug, span, up_down_counter, warn};

/// One more than the requests that may be outstanding.
const REQUESTS: usize = 4;
/// One more than the samples that may wait.
const SAMPLES: usize = 8;

/// What an input of the converter is wired to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The temperature sensor.
    Temperature,
    /// The valve's position feedback.
    Valve,
}

impl Channel {
    /// Its name, as recorded.
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Temperature => "temperature",
            Channel::Valve => "valve",
        }
    }
}

/// A converted value, 12 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Converted before this one.
    pub sequence: u32,
    /// What the converter read, 0 to 4095.
    pub raw: u16,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    channel: Channel,
    /// Whose sample it will be: the interrupt records below this.
    place: Context,
}

/// The storage of a converter's two queues: 250 bytes on a 32-bit machine.
#[derive(Debug)]
pub struct Adc {
    requests: Queue<Request, REQUESTS>,
    samples: Queue<Sample, SAMPLES>,
    ready: AtomicWaker,
}

impl Adc {
    /// Empty queues.
    pub const fn new() -> Adc {
        Adc { requests: Queue::new(), samples: Queue::new(), ready: AtomicWaker::new() }
    }

    /// The interrupt's side and the program's.
    pub fn split(&mut self) -> (SampleIsr<'_>, Samples<'_>) {
        let (asking, requests) = self.requests.split();
        let (samples, arrived) = self.samples.split();
        let ready = &self.ready;
        (SampleIsr { requests, samples, ready, sequence: 0 }, Samples { asking, arrived, ready })
    }
}

impl Default for Adc {
    fn default() -> Self {
        Self::new()
    }
}

/// The side of the interrupt that says a conversion is done.
pub struct SampleIsr<'a> {
    requests: Consumer<'a, Request>,
    samples: Producer<'a, Sample>,
    ready: &'a AtomicWaker,
    sequence: u32,
}

impl SampleIsr<'_> {
    /// The input whose value is asked for, if any is.
    pub fn requested(&self) -> Option<Channel> {
        self.requests.peek().map(|request| request.channel)
    }

    /// Takes a converted value: records it below the span that asked for it, queues it, and wakes who waits. Never waits: with the queue full the
    /// sample is dropped, and counted. A sample that nobody asked for belongs to whatever span it interrupted.
    pub fn on_sample_ready(&mut self, raw: u16) {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let request = self.requests.dequeue();
        let has_room = self.samples.ready();
        {
            let _place = request.map(|request| request.place.enter());
            let channel = StaticStr(request.map_or("none", |request| request.channel.name()));
            let _span = span!("adc.isr", channel, raw);
            counter!("adc.samples", unit = "{sample}", description = "values converted").add(1);
            debug!("sample {sequence} of {channel}: {raw}", sequence, channel, raw);
            if has_room {
                queued().add(1);
            } else {
                counter!(
                    "adc.overruns",
                    unit = "{sample}",
                    description = "samples that found the queue full"
                )
                .add(1);
                warn!("sample {sequence} lost: the queue is full", sequence);
            }
        }
        // Last: whoever gets the sample then finds all of the above recorded.
        if has_room {
            let _ = self.samples.enqueue(Sample { sequence, raw });
        }
        self.ready.wake();
    }
}

/// The side of the program that asks for samples.
pub struct Samples<'a> {
    asking: Producer<'a, Request>,
    arrived: Consumer<'a, Sample>,
    ready: &'a AtomicWaker,
}

impl Samples<'_> {
    /// Asks for a value and waits for it. With as many requests outstanding as there can be, takes the next sample that comes.
    pub async fn read(&mut self, channel: Channel) -> Sample {
        // What was never waited for is not an answer to this request.
        while self.take().is_some() {}
        let _ = self.asking.enqueue(Request { channel, place: Context::current() });
        poll_fn(|cx| {
            // Registered first: a sample that comes between the two is seen by the one or the other.
            self.ready.register(cx.waker());
            self.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn take(&mut self) -> Option<Sample> {
        let sample = self.arrived.dequeue()?;
        queued().add(-1);
        Some(sample)
    }
}

/// Samples that wait in the queue.
fn queued() -> throughline::metrics::UpDownCounter {
    up_down_counter!("adc.queued", unit = "{sample}", description = "samples waiting in the queue")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor;

    #[test]
    fn a_request_is_answered_by_the_interrupt() {
        let mut adc = Adc::new();
        let (mut isr, mut samples) = adc.split();
        assert_eq!(isr.requested(), None);
        let asked = core::cell::Cell::new(None);
        let sample = executor::run(samples.read(Channel::Valve), || {
            asked.set(isr.requested());
            isr.on_sample_ready(812);
        });
        assert_eq!(asked.get(), Some(Channel::Valve));
        assert_eq!(sample, Sample { sequence: 0, raw: 812 });
        assert_eq!(isr.requested(), None);
    }

    #[test]
    fn a_full_queue_drops_the_new_sample() {
        let mut adc = Adc::new();
        let (mut isr, mut samples) = adc.split();
        for raw in 0..20 {
            isr.on_sample_ready(raw);
        }
        let kept: std::vec::Vec<u16> = core::iter::from_fn(|| samples.take()).map(|s| s.raw).collect();
        assert_eq!(kept, [0, 1, 2, 3, 4, 5, 6]);
        isr.on_sample_ready(99);
        assert_eq!(samples.take(), Some(Sample { sequence: 20, raw: 99 }));
    }

    #[test]
    fn a_stale_sample_is_no_answer() {
        let mut adc = Adc::new();
        let (mut isr, mut samples) = adc.split();
        isr.on_sample_ready(1);
        let sample = executor::run(samples.read(Channel::Temperature), || isr.on_sample_ready(2));
        assert_eq!(sample.raw, 2);
    }
}
