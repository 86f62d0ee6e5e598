//! Linux: `/proc`. Source: proc(5).

use super::Process;
use std::path::Path;

/// Ticks per second in `/proc/self/stat`, if the kernel does not report them. All of Linux's architectures
/// except one use this number.
const TICKS: f64 = 100.0;

pub(super) fn read() -> Process {
    of(Path::new("/proc"))
}

fn of(proc: &Path) -> Process {
    let text = |name: &str| std::fs::read_to_string(proc.join(name)).unwrap_or_default();
    let auxv = std::fs::read(proc.join("self/auxv")).unwrap_or_default();
    let mut process = of_stat(
        &text("self/stat"),
        boot_time(&text("stat")),
        auxiliary(&auxv, 17).map_or(TICKS, |ticks| ticks as f64), // AT_CLKTCK
        auxiliary(&auxv, 6),                                      // AT_PAGESZ
    );
    process.max_fds = max_open_files(&text("self/limits"));
    // Subtract the descriptor of the directory that is being read.
    let fds = std::fs::read_dir(proc.join("self/fd"));
    process.open_fds = fds.ok().map(|fds| (fds.count() as u64).saturating_sub(1));
    process
}

fn of_stat(stat: &str, boot_time: Option<f64>, ticks: f64, page: Option<u64>) -> Process {
    // The second field is the program's name in parentheses, which may contain any characters, so the
    // split is at the last parenthesis. `fields[0]` is the third field, the state.
    let Some((_, fields)) = stat.rsplit_once(')') else { return Process::default() };
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let seconds = |number| field(number).map(|n| n as f64 / ticks);
    Process {
        cpu_seconds: seconds(14).zip(seconds(15)).map(|(user, system)| user + system),
        start_unix_seconds: boot_time.zip(seconds(22)).map(|(boot, after)| boot + after),
        threads: field(20),
        virtual_bytes: field(23),
        resident_bytes: field(24).zip(page).map(|(pages, bytes)| pages.saturating_mul(bytes)),
        ..Process::default()
    }
}

/// When the machine started, in seconds since 1970.
fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The soft limit of open files; `None` if there is no limit.
fn max_open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Finds an entry of the auxiliary vector, which the kernel passes to each process as pairs of words.
fn auxiliary(auxv: &[u8], key: usize) -> Option<u64> {
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| Some(usize::from_ne_bytes(*bytes.first_chunk::<WORD>()?));
    auxv.chunks_exact(2 * WORD)
        .find(|pair| word(pair) == Some(key))
        .and_then(|pair| Some(word(&pair[WORD..])? as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_read() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 7 0 12345 1048576 300 18446744073709551615 1 1";
        let process = of_stat(stat, boot_time("cpu 1 2\nbtime 1700000000\n"), 100.0, Some(4096));
        let expected = Process {
            cpu_seconds: Some(1.75),
            start_unix_seconds: Some(1_700_000_123.45),
            threads: Some(7),
            virtual_bytes: Some(1_048_576),
            resident_bytes: Some(300 * 4096),
            ..Process::default()
        };
        assert_eq!(process, expected);
        assert_eq!(of_stat("", None, 100.0, None), Process::default());
        assert_eq!(of_stat("1 (x) S 1", None, 100.0, None), Process::default());
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(max_open_files(limits), Some(1024));
        assert_eq!(max_open_files("Max open files  unlimited unlimited files"), None);
        let auxv: Vec<u8> = [6_usize, 4096, 17, 250, 0, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
        assert_eq!((auxiliary(&auxv, 17), auxiliary(&auxv, 16)), (Some(250), None));
    }
}
