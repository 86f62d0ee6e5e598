use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ x >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -(1.0 - self.next()).ln() * mean
    }
}

/// Blocks of one site as the sampler sees them: each is sampled by chance, and stands for others.
struct Simulated {
    size: f64,
    /// Blocks allocated in a minute, on average.
    per_minute: f64,
    /// Minutes that a block lives, on average.
    lives: f64,
    /// Sampled blocks, each with the minute of its end.
    sampled: Vec<f64>,
    interval: f64,
}

impl Simulated {
    /// A site that has been running for long.
    fn steady(size: f64, per_minute: f64, lives: f64, interval: u64, random: &mut Random) -> Simulated {
        let mut site = Simulated { size, per_minute, lives, sampled: Vec::new(), interval: interval as f64 };
        // The times that are left of exponential lives are exponential again.
        let mut n = random.exponential(1.0);
        while n < per_minute * lives * site.chance() {
            site.sampled.push(random.exponential(lives));
            n += random.exponential(1.0);
        }
        site
    }

    fn chance(&self) -> f64 {
        -(-self.size / self.interval).exp_m1()
    }

    /// Goes on for a minute that ends at `minute`.
    fn step(&mut self, minute: f64, random: &mut Random) -> Site {
        let each = 1.0 / (self.per_minute * self.chance());
        let mut at = random.exponential(each);
        while at < 1.0 {
            self.sampled.push(minute - 1.0 + at + random.exponential(self.lives));
            at += random.exponential(each);
        }
        self.sampled.retain(|end| *end > minute);
        let blocks = self.sampled.len() as f64 / self.chance();
        Site { bytes: (blocks * self.size) as u64, blocks: blocks as u64 }
    }
}

/// Lets an hour pass. Returns the sites that were ever called a leak, and those that are one at the end, with their growth.
fn hour(
    sites: &mut [Simulated],
    more: impl Fn(f64) -> u64,
    interval: u64,
    random: &mut Random,
) -> (Vec<u64>, HashMap<u64, Growth>) {
    let mut finder = LeakFinder::default();
    let mut ever = Vec::new();
    let mut last = HashMap::new();
    for minute in 1..=60 {
        let mut now: Vec<_> = sites
            .iter_mut()
            .enumerate()
            .map(|(key, site)| (key as u64, site.step(f64::from(minute), random), key))
            .collect();
        let cache = more(f64::from(minute));
        now.push((u64::MAX, Site { bytes: cache, blocks: cache / 100 }, 0));
        finder.observe_sites(MINUTE * minute, now);
        last =
            finder.tracks.iter().filter_map(|(key, track)| Some((*key, track.growth(interval)?))).collect();
        ever.extend(last.keys().copied());
    }
    ever.sort_unstable();
    ever.dedup();
    (ever, last)
}

const INTERVAL: u64 = 512 * 1024;

#[test]
fn an_hour_of_steady_churn_raises_no_alarm() {
    for seed in 0..3 {
        let mut random = Random(seed);
        let mut sites = Vec::new();
        // From small and short-lived to large and kept for half an hour: 0.1 to 100 MB in use.
        for size in [64.0, 1e3, 16e3, 300e3, 2e6] {
            for lives in [0.5, 5.0, 30.0] {
                for mb in [0.1, 10.0, 100.0] {
                    let per_minute = mb * 1e6 / size / lives;
                    sites.push(Simulated::steady(size, per_minute, lives, INTERVAL, &mut random));
                }
            }
        }
        // A cache of 200 MB that fills within some ten minutes.
        let cache = |minute: f64| (200e6 * (1.0 - (-minute / 4.0).exp())) as u64;
        let (ever, _) = hour(&mut sites, cache, INTERVAL, &mut random);
        assert_eq!(ever, [], "with seed {seed}");
    }
}

#[test]
fn a_planted_leak_is_found_with_its_rate() {
    for (mb_per_hour, interval, severity) in [
        (400.0, INTERVAL, LeakSeverity::Critical),
        (40.0, INTERVAL / 8, LeakSeverity::High),
        (8.0, INTERVAL / 64, LeakSeverity::Medium),
        (3.0, INTERVAL / 64, LeakSeverity::Low),
    ] {
        let mut random = Random(7);
        let mut sites: Vec<_> =
            (0..20).map(|_| Simulated::steady(4e3, 2e4, 2.0, interval, &mut random)).collect();
        // A block in 200 is never freed.
        sites.push(Simulated {
            per_minute: mb_per_hour * 1e6 / 60.0 / 500.0,
            size: 500.0,
            lives: 1e9,
            sampled: Vec::new(),
            interval: interval as f64,
        });
        let (ever, last) = hour(&mut sites, |_| 0, interval, &mut random);
        assert_eq!(ever, [20], "{mb_per_hour} MB/h");
        let growth = last[&20];
        assert!((growth.mb_per_hour / mb_per_hour - 1.0).abs() < 0.1, "{growth:?} of {mb_per_hour} MB/h");
        assert!(growth.confidence > 0.9, "{growth:?}");
        assert_eq!(LeakSeverity::of(growth.bytes as u64, growth.mb_per_hour), severity);
    }
}

#[test]
fn severities_have_their_thresholds_in_size_and_rate() {
    let mb = |n: u64| n * 1_000_000;
    for (bytes, rate, severity) in [
        (mb(10), 5.0, LeakSeverity::Low),
        (mb(10) + 1, 0.0, LeakSeverity::Medium),
        (0, 5.1, LeakSeverity::Medium),
        (mb(50), 20.0, LeakSeverity::Medium),
        (mb(50) + 1, 0.0, LeakSeverity::High),
        (0, 20.1, LeakSeverity::High),
        (mb(100), 50.0, LeakSeverity::High),
        (mb(100) + 1, 0.0, LeakSeverity::Critical),
        (0, 50.1, LeakSeverity::Critical),
    ] {
        assert_eq!(LeakSeverity::of(bytes, rate), severity, "{bytes} bytes, {rate} MB/h");
    }
}

#[test]
fn followed_sites_are_bounded() {
    let mut finder = LeakFinder::default();
    let sites =
        |from: u64| (from..from + 3000).map(|key| (key, Site { bytes: MIN_IN_USE, blocks: 1 }, 0)).collect();
    finder.observe_sites(MINUTE, sites(0));
    finder.observe_sites(MINUTE * 2, sites(3000));
    assert_eq!((finder.tracks.len(), finder.unfollowed()), (MAX_SITES, 6000 - MAX_SITES as u64));
    for minute in 3..3 + MAX_WINDOWS as u32 {
        finder.observe_sites(MINUTE * minute, Vec::new());
    }
    assert_eq!(finder.tracks.len(), 0, "sites without memory in use are forgotten");
}
