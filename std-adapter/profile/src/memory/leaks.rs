//! Leaks: places whose memory in use grows from window to window and does not come back.

use crate::profile::{Kind, Profile};
use crate::stack::Sample;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// Most windows of a site that are kept; older ones are forgotten.
const MAX_WINDOWS: usize = 60;
/// Fewer windows tell nothing: a cache that fills looks like a leak at first.
const MIN_WINDOWS: usize = 15;
/// Most sites that are followed. Each takes a kilobyte.
const MAX_SITES: usize = 4096;
/// A site with less in use is not followed.
const MIN_IN_USE: u64 = 64 * 1024;
/// A leak has grown by at least so many bytes.
const MIN_GROWTH: f64 = 1e6;
/// How many standard deviations of chance the growth must exceed.
const DEVIATIONS: f64 = 4.0;
/// The least rank correlation of time and memory in use.
const MIN_CONFIDENCE: f64 = 0.6;

/// How bad a leak is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeakSeverity {
    /// Less than the others.
    Low,
    /// More than 10 MB, or more than 5 MB an hour.
    Medium,
    /// More than 50 MB, or more than 20 MB an hour.
    High,
    /// More than 100 MB, or more than 50 MB an hour.
    Critical,
}

impl LeakSeverity {
    /// The severity of a leak that has grown by so many bytes, at this rate in MB (10⁶ bytes) an hour.
    pub fn of(bytes: u64, mb_per_hour: f64) -> LeakSeverity {
        let is_above = |mb: f64, rate: f64| bytes as f64 > mb * 1e6 || mb_per_hour > rate;
        match () {
            () if is_above(100.0, 50.0) => LeakSeverity::Critical,
            () if is_above(50.0, 20.0) => LeakSeverity::High,
            () if is_above(10.0, 5.0) => LeakSeverity::Medium,
            () => LeakSeverity::Low,
        }
    }

    /// `low`, `medium`, `high` or `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            LeakSeverity::Low => "low",
            LeakSeverity::Medium => "medium",
            LeakSeverity::High => "high",
            LeakSeverity::Critical => "critical",
        }
    }
}

/// A place whose memory in use keeps growing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Leak {
    /// The same number for the same place, as long as the process runs.
    pub id: u64,
    /// Bytes by which the memory in use has grown in the windows that are kept: rate × time.
    pub grown_bytes: u64,
    /// Bytes in use now that were allocated there.
    pub bytes_in_use: u64,
    /// Blocks in use now that were allocated there.
    pub blocks_in_use: u64,
    /// Growth in MB (10⁶ bytes) an hour: the median of the slopes between any two windows (Theil and Sen).
    pub mb_per_hour: f64,
    /// How steadily it grows, 0.6 to 1: Kendall's rank correlation of time and memory in use.
    pub confidence: f64,
    /// How bad it is.
    pub severity: LeakSeverity,
    /// What allocates there, as a profile of one stack; [`symbolize`](Profile::symbolize) it for the names.
    pub place: Profile,
}

/// Finds leaks in the profiles that a [`HeapProfiler`](crate::HeapProfiler) gives one after the other.
///
/// A site leaks if, over 15 to 60 windows, (1) the least memory in use in the last third is more than the most in the first third,
/// (2) the growth is more than four standard deviations of what chance makes of a site with that many blocks and samples, and more
/// than 1 MB, (3) the rank correlation with time is at least 0.6, and (4) the second half grows at least half as fast as the whole,
/// which a cache that fills does not.
///
/// ```no_run
/// use throughline_profile::{HeapOptions, HeapProfiler, LeakFinder};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let profiler = HeapProfiler::start(HeapOptions::default())?;
/// let mut finder = LeakFinder::default();
/// loop {
///     std::thread::sleep(std::time::Duration::from_secs(60));
///     finder.observe(profiler.profile());
///     for leak in finder.leaks() {
///         println!("{:.0} MB/h ({})\n{}", leak.mb_per_hour, leak.severity.as_str(), leak.place.symbolize().text());
///     }
/// }
/// # }
/// ```
///
/// Cost: about a microsecond for each site and window, and a kilobyte for each site; at most 4096 sites with the most memory in use when they
/// are first seen are followed.
#[derive(Debug, Default)]
pub struct LeakFinder {
    tracks: HashMap<u64, Track>,
    last: Option<Profile>,
    unfollowed: u64,
}

/// What is known of one site.
#[derive(Debug, Default)]
struct Track {
    windows: VecDeque<(Duration, u64)>,
    now: Site,
    /// Where the last profile has it; `None` if it has not.
    sample: Option<usize>,
}

/// A site in one window.
#[derive(Clone, Copy, Debug, Default)]
struct Site {
    bytes: u64,
    blocks: u64,
}

/// What the windows of a site tell.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Growth {
    bytes: f64,
    mb_per_hour: f64,
    confidence: f64,
}

impl LeakFinder {
    /// Adds a window: what a [`HeapProfiler`](crate::HeapProfiler) has found up to now. Windows should be of one length, such as a minute.
    pub fn observe(&mut self, profile: Profile) {
        if !matches!(profile.kind, Kind::Heap { .. }) {
            return;
        }
        let site = |(index, sample): (usize, &Sample)| {
            let [_, _, blocks, bytes] = sample.values;
            (key(&profile, sample), Site { bytes, blocks }, index)
        };
        let sites: Vec<_> = profile.samples.iter().enumerate().map(site).collect();
        self.observe_sites(profile.duration, sites);
        self.last = Some(profile);
    }

    /// Adds a window that ended at `time`.
    fn observe_sites(&mut self, time: Duration, mut sites: Vec<(u64, Site, usize)>) {
        sites.sort_unstable_by_key(|(_, site, _)| std::cmp::Reverse(site.bytes));
        for track in self.tracks.values_mut() {
            (track.now, track.sample) = (Site::default(), None);
        }
        for (key, site, index) in sites {
            let is_new = !self.tracks.contains_key(&key);
            if is_new && (site.bytes < MIN_IN_USE || self.tracks.len() >= MAX_SITES) {
                self.unfollowed += u64::from(site.bytes >= MIN_IN_USE);
                continue;
            }
            let track = self.tracks.entry(key).or_default();
            (track.now, track.sample) = (site, Some(index));
        }
        self.tracks.retain(|_, track| {
            if track.windows.len() == MAX_WINDOWS {
                track.windows.pop_front();
            }
            track.windows.push_back((time, track.now.bytes));
            track.windows.iter().any(|(_, bytes)| *bytes >= MIN_IN_USE)
        });
    }

    /// How often a site had memory in use and was not followed, because there were too many.
    pub fn unfollowed(&self) -> u64 {
        self.unfollowed
    }

    /// The leaks, the fastest first.
    pub fn leaks(&self) -> Vec<Leak> {
        let Some(profile) = &self.last else { return Vec::new() };
        let Kind::Heap { interval } = profile.kind else { return Vec::new() };
        let leak = |(id, track): (&u64, &Track)| {
            let sample = profile.samples[track.sample?];
            let Growth { bytes, mb_per_hour, confidence } = track.growth(interval)?;
            let place = Profile {
                stacks: vec![Arc::clone(&profile.stacks[sample.stack as usize])],
                samples: vec![Sample { stack: 0, ..sample }],
                modules: profile.modules.clone(),
                ..profile.without_samples()
            };
            Some(Leak {
                id: *id,
                grown_bytes: bytes as u64,
                bytes_in_use: track.now.bytes,
                blocks_in_use: track.now.blocks,
                mb_per_hour,
                confidence,
                severity: LeakSeverity::of(bytes as u64, mb_per_hour),
                place,
            })
        };
        let mut leaks: Vec<_> = self.tracks.iter().filter_map(leak).collect();
        leaks.sort_by(|a, b| b.mb_per_hour.total_cmp(&a.mb_per_hour));
        leaks
    }
}

impl Track {
    /// Its growth, if it leaks.
    fn growth(&self, interval: u64) -> Option<Growth> {
        let windows: Vec<(f64, f64)> =
            self.windows.iter().map(|(time, bytes)| (time.as_secs_f64() / 3600.0, *bytes as f64)).collect();
        let third = windows.len() / 3;
        if windows.len() < MIN_WINDOWS {
            return None;
        }
        let (first, last) = (&windows[..third], &windows[windows.len() - third..]);
        let most = first.iter().map(|window| window.1).fold(0.0, f64::max);
        let least = last.iter().map(|window| window.1).fold(f64::INFINITY, f64::min);
        if least <= most {
            return None;
        }
        let slope = slope(&windows);
        let bytes = slope * (windows[windows.len() - 1].0 - windows[0].0);
        // A number of blocks that come and go by chance has its mean as its variance (Poisson), and a sample stands for
        // `interval` bytes.
        let block = self.now.bytes as f64 / self.now.blocks.max(1) as f64;
        let deviation = ((most + least) * (interval as f64 + block)).sqrt();
        if bytes < MIN_GROWTH || bytes < DEVIATIONS * deviation {
            return None;
        }
        let confidence = rank_correlation(&windows);
        let is_growing = self::slope(&windows[windows.len() / 2..]) >= slope / 2.0;
        (confidence >= MIN_CONFIDENCE && is_growing).then_some(Growth {
            bytes,
            mb_per_hour: slope / 1e6,
            confidence,
        })
    }
}

/// Pairs of windows, the earlier one first.
fn pairs(windows: &[(f64, f64)]) -> impl Iterator<Item = ((f64, f64), (f64, f64))> {
    windows.iter().enumerate().flat_map(|(i, a)| windows[i + 1..].iter().map(move |b| (*a, *b)))
}

/// The median of the slopes between any two windows (Theil 1950, Sen 1968), in bytes an hour.
fn slope(windows: &[(f64, f64)]) -> f64 {
    let mut slopes: Vec<f64> = pairs(windows)
        .filter(|(a, b)| b.0 > a.0)
        .map(|((from, before), (to, after))| (after - before) / (to - from))
        .collect();
    if slopes.is_empty() {
        return 0.0;
    }
    let middle = slopes.len() / 2;
    *slopes.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Kendall's τ: of all pairs of windows, the share that grows less the share that shrinks.
fn rank_correlation(windows: &[(f64, f64)]) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for ((_, before), (_, after)) in pairs(windows) {
        n += 1.0;
        sum += f64::from(i8::from(after > before) - i8::from(after < before));
    }
    if n > 0.0 { sum / n } else { 0.0 }
}

/// The same for the same stack in any profile of this process.
fn key(profile: &Profile, sample: &Sample) -> u64 {
    let mut hasher = DefaultHasher::new();
    for frame in &profile.stacks[sample.stack as usize].frames {
        let module = frame.module.map(|index| Arc::as_ptr(&profile.modules[index as usize]).addr());
        (module, frame.address).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
