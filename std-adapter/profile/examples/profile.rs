//! Profiles a small computation and writes what came of it into a folder:
//! `cargo run --release -p throughline-profile --example profile -- FOLDER`.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// Counts the primes below `n` by division.
#[inline(never)]
fn primes(n: u64) -> usize {
    (2..n).filter(|candidate| is_prime(*candidate)).count()
}

fn is_prime(n: u64) -> bool {
    (2..).take_while(|divisor| divisor * divisor <= n).all(|divisor| !n.is_multiple_of(divisor))
}

/// Sorts words by their reversed letters.
#[inline(never)]
fn sort_words() -> usize {
    let mut words: Vec<String> = (0..20_000_u64).map(|n| (n * 7919 % 20_011).to_string()).collect();
    words.sort_by_key(|word| word.chars().rev().collect::<String>());
    words.len()
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder for the results")?;
    let profiler = throughline_profile::CpuProfiler::start(Default::default())?;
    let helper = std::thread::Builder::new().name("sorter".into()).spawn(|| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            std::hint::black_box(sort_words());
        }
    })?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        std::hint::black_box(primes(20_000));
    }
    helper.join().map_err(|_| "the helper panicked")?;
    let report = profiler.stop().symbolize();
    let folder = Path::new(&folder);
    std::fs::write(folder.join("cpu.pb.gz"), report.pprof())?;
    std::fs::write(folder.join("cpu.folded"), report.folded())?;
    std::fs::write(folder.join("cpu.svg"), report.flame_graph("primes and words"))?;
    std::fs::write(folder.join("cpu.cpuprofile"), report.chrome())?;
    std::fs::write(folder.join("cpu.speedscope.json"), report.speedscope("primes and words"))?;
    print!("{}", report.text());
    Ok(())
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn main() -> Result<(), Box<dyn Error>> {
    let _ = (primes(2), sort_words(), Path::new("."), Duration::ZERO, Instant::now());
    Err("profiles need Linux on x86-64 or AArch64".into())
}
