//! How many instructions an operation takes, by callgrind: the bench runs itself under Valgrind, which counts inside [`counted`].
//!
//! Valgrind interprets the program, so that no performance counters and no rights are needed and every run of a binary counts the same. It also
//! shows every program the same CPU on all x86-64 machines with AVX2, so that the C library picks the same `memcpy` on each.

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

/// Pairs of calls that are counted. Enough for a ring of 4096 slots to come to its end three times.
const ROUNDS: u64 = 16;

/// What a child says before the number of operations that its pairs of calls differ by.
const OPERATIONS: &str = "operations ";

/// [`counted`] as callgrind names it. No pattern: given one, it does only one of the two things it is told to.
const COUNTED: &str = "compare::count::counted";

/// Instructions of one operation of a subject, on one thread, and what its process said besides.
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

/// What callgrind counted in each call; its last total is of what came after.
fn totals(profile: &str) -> Result<Vec<u64>, Box<dyn Error>> {
    let totals = profile.lines().filter_map(|line| line.strip_prefix("totals: "));
    let mut totals = totals.map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    totals.pop();
    Ok(totals)
}

/// Runs `op` in pairs of calls, and tells the parent by how many operations a pair differs: half a batch, so that loops and calls cancel out.
/// `drain` runs after each call, uncounted.
pub(crate) fn operations<L>(local: &mut L, op: impl Fn(&mut L, u64), drain: impl Fn(&mut L)) {
    for round in 0..=ROUNDS {
        for n in [BATCH / 2, BATCH] {
            // The first pair also does whatever happens only once.
            run(round > 0, &mut || op(local, n));
            drain(local);
        }
    }
    println!("{OPERATIONS}{}", ROUNDS * BATCH / 2);
}

/// As [`operations`], of an `op` that does `per_call` things at once: counted in full, next to nothing at all.
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
