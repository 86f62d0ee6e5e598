//! The converter: requests go to an interrupt and samples come back, over queues on which neither side waits.

use atomic_waker::AtomicWaker;
use core::future::poll_fn;
use core::task::Poll;
use heapless::spsc::{Consumer, Producer, Queue};
use throughline::{Context, StaticStr, counter, debug, span, up_down_counter, warn};

/// Most outstanding requests plus one.
const REQUESTS: usize = 4;
/// Most waiting samples plus one.
const SAMPLES: usize = 8;

/// What an input of the converter is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The temperature sensor.
    Temperature,
    /// The valve's position feedback.
    Valve,
}

impl Channel {
    /// Its name in records.
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
    /// Number of samples converted before this one.
    pub sequence: u32,
    /// The converter's reading, 0 to 4095.
    pub raw: u16,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    channel: Channel,
    /// The span that asks for the sample; the interrupt records below it.
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

    /// The side of the interrupt and the side of the program.
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

/// The side of the interrupt that ends a conversion.
pub struct SampleIsr<'a> {
    requests: Consumer<'a, Request>,
    samples: Producer<'a, Sample>,
    ready: &'a AtomicWaker,
    sequence: u32,
}

impl SampleIsr<'_> {
    /// The input for which a value is requested, if there is one.
    pub fn requested(&self) -> Option<Channel> {
        self.requests.peek().map(|request| request.channel)
    }

    /// Takes a converted value: records it below the span that asked for it, queues it, and wakes the waiting
    /// task. Never waits: if the queue is full, the sample is dropped and counted. A sample that nobody asked
    /// for is recorded in the interrupted span.
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
        // Enqueue last, so that everything above is recorded before anybody gets the sample.
        if has_room {
            let _ = self.samples.enqueue(Sample { sequence, raw });
        }
        self.ready.wake();
    }
}

/// The side of the program that requests samples.
pub struct Samples<'a> {
    asking: Producer<'a, Request>,
    arrived: Consumer<'a, Sample>,
    ready: &'a AtomicWaker,
}

impl Samples<'_> {
    /// Requests a value and waits for it. If the most possible requests are outstanding, it takes the next
    /// sample that comes.
    pub async fn read(&mut self, channel: Channel) -> Sample {
        // Samples that nobody waited for do not answer this request.
        while self.take().is_some() {}
        let _ = self.asking.enqueue(Request { channel, place: Context::current() });
        poll_fn(|cx| {
            // Register before checking, so that a sample that comes in between is not missed.
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

/// Number of samples that wait in the queue.
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
