//! Counts the instructions of an operation with callgrind: the bench runs itself under Valgrind, which counts
//! inside [`counted`].
//!
//! Valgrind interprets the program, so no performance counters and no rights are needed, and every run of a
//! binary gives the same count. It also shows every program the same CPU on all x86-64 machines with AVX2, so
//! that the C library chooses the same `memcpy` on each.

use std::{
    env,
    error::Error,
    fs,
    hint::black_box,
    path::Path,
    process::{self, Command, Stdio},
};

use crate::{
    effort_flag,
    harness::{BATCH, Effort},
};

/// The number of pairs of calls that are counted. A ring of 4096 slots then wraps three times.
const ROUNDS: u64 = 16;

/// The prefix of the line in which a child reports the number of operations by which its pairs of calls
/// differ.
const OPERATIONS: &str = "operations ";

/// [`counted`] as callgrind names it. It must not be a pattern: with a pattern, callgrind does only one of
/// the two things that it is asked to do.
const COUNTED: &str = "compare::count::counted";

/// The instructions of one operation of a subject on one thread, and the other output of its process.
///
/// # Errors
/// When there is no Valgrind, when the subject fails, or when it counts nothing.
pub(crate) fn instructions(path: &str, subject: &str) -> Result<(f64, String), Box<dyn Error>> {
    let profile = env::temp_dir().join(format!("throughline-callgrind-{}", process::id()));
    let counted = under_callgrind(path, subject, &profile);
    // The file is absent when Valgrind did not start; `counted` says why.
    let _ = fs::remove_file(&profile);
    counted
}

fn under_callgrind(path: &str, subject: &str, profile: &Path) -> Result<(f64, String), Box<dyn Error>> {
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(profile);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--combine-dumps=yes"])
        .args([format!("--toggle-collect={COUNTED}"), format!("--dump-after={COUNTED}")])
        .arg(out)
        .arg(env::current_exe()?)
        .args(["--child", path, subject, effort_flag(Effort::Count)])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("can't run valgrind: {error}"))?;
    if !output.status.success() {
        return Err(output.status.to_string().into());
    }
    let said = String::from_utf8(output.stdout)?;
    let operations: f64 = said
        .lines()
        .find_map(|line| line.strip_prefix(OPERATIONS))
        .ok_or("it has nothing to count")?
        .parse()?;
    let totals = totals(&fs::read_to_string(profile)?)?;
    let [few, many] = [0, 1].map(|nth| totals.iter().skip(nth).step_by(2).sum::<u64>());
    if totals.len() as u64 != 2 * ROUNDS || many <= few {
        return Err(format!("callgrind counted {totals:?}, not {ROUNDS} pairs of calls").into());
    }
    Ok(((many - few) as f64 / operations, said))
}

/// The count of each call. The last total belongs to the code after the last call.
fn totals(profile: &str) -> Result<Vec<u64>, Box<dyn Error>> {
    let totals = profile.lines().filter_map(|line| line.strip_prefix("totals: "));
    let mut totals = totals.map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    totals.pop();
    Ok(totals)
}

/// Runs `op` in pairs of calls, and tells the parent by how many operations the calls of a pair differ: half
/// a batch, so that the cost of loops and calls cancels out. `drain` runs after each call and is not counted.
pub(crate) fn operations<L>(local: &mut L, op: impl Fn(&mut L, u64), drain: impl Fn(&mut L)) {
    for round in 0..=ROUNDS {
        for n in [BATCH / 2, BATCH] {
            // The first pair also does everything that happens only once, so it is not counted.
            run(round > 0, &mut || op(local, n));
            drain(local);
        }
    }
    println!("{OPERATIONS}{}", ROUNDS * BATCH / 2);
}

/// Like [`operations`], for an `op` that does `per_call` things at once: its full cost is counted against
/// that of an empty call.
pub(crate) fn bulk<L>(per_call: u64, local: &mut L, op: impl Fn(&mut L), drain: impl Fn(&mut L)) {
    for round in 0..=ROUNDS {
        run(round > 0, &mut || ());
        run(round > 0, &mut || op(local));
        drain(local);
    }
    println!("{OPERATIONS}{}", ROUNDS * per_call);
}

fn run(count: bool, op: &mut dyn FnMut()) {
    if count { counted(op) } else { op() }
}

/// Runs `op`. Callgrind counts from its entry to its end.
#[inline(never)]
fn counted(op: &mut dyn FnMut()) {
    op();
    // This keeps the call above from becoming a tail call.
    black_box(());
}
