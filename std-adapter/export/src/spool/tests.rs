//! Tests that a spool delivers every batch once and in order, across restarts. A crash loses only the batch
//! that was being written, damage loses only the batches that it hits, and both losses are counted.

use super::store::{AppendError, Front, Spool};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("throughline-spool-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Folder(std::env::temp_dir().join(name))
    }

    fn open(&self, max_bytes: u64) -> Spool {
        Spool::open(&self.0, max_bytes).unwrap()
    }

    /// The segments, oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let mut segments: Vec<_> = entries.filter(|path| path.extension().is_some()).collect();
        segments.sort();
        segments
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The body of batch `n`: its number, and enough bytes to fill segments.
fn body(n: u32) -> Vec<u8> {
    let mut body = n.to_le_bytes().to_vec();
    body.resize(4 + (n as usize * 7919) % 30_000, n as u8);
    body
}

fn number(body: &[u8]) -> u32 {
    let n = u32::from_le_bytes(body[..4].try_into().unwrap());
    assert!(body == self::body(n), "batch {n} is not what was appended");
    n
}

/// Number of records of batch `n`.
fn records(n: u32) -> u64 {
    u64::from(n % 5)
}

/// Takes up to `most` batches. Returns their numbers, and how many records were reported as lost.
fn take(spool: &mut Spool, most: usize) -> (Vec<u32>, u64) {
    let (mut taken, mut lost) = (Vec::new(), 0);
    while taken.len() < most {
        match spool.front() {
            Front::Empty => break,
            Front::Lost(n) => lost += n,
            Front::Batch(bytes, n) => {
                let batch = number(bytes);
                assert_eq!(n, records(batch));
                taken.push(batch);
                spool.pop();
            }
        }
    }
    (taken, lost)
}

#[derive(Clone, Debug)]
enum Step {
    Append(u8),
    Take(u8),
    /// Ends the program and starts it again.
    Restart,
    /// Cuts the last segment at this fraction of its length, as if the rest had not reached the disk.
    Crash(f64),
    /// Changes a byte: the first number selects the segment, the second the position in it, both as
    /// fractions.
    Damage(f64, f64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u8..10).prop_map(Step::Append),
        4 => (1u8..20).prop_map(Step::Take),
        2 => Just(Step::Restart),
        1 => (0.0..1.0).prop_map(Step::Crash),
        1 => (0.0..1.0, 0.0..1.0).prop_map(|(a, b)| Step::Damage(a, b)),
    ]
}

fn cut(path: &Path, share: f64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let len = file.metadata().unwrap().len();
    file.set_len((len as f64 * share) as u64).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 24 }))]

    #[test]
    fn nothing_is_lost_but_what_a_crash_or_damage_hits(steps in proptest::collection::vec(step(), 1..30)) {
        let folder = Folder::new();
        let mut spool = folder.open(u64::MAX);
        // The number of the next batch, and the batches that were taken.
        let (mut next, mut taken) = (0, Vec::new());
        let (mut told_lost, mut is_hurt, mut is_cut) = (0, false, false);
        for step in steps {
            match step {
                Step::Append(n) => for _ in 0..n {
                    spool.append(&body(next), records(next)).unwrap();
                    next += 1;
                },
                Step::Take(n) => {
                    let (batches, lost) = take(&mut spool, usize::from(n));
                    taken.extend(batches);
                    told_lost += lost;
                }
                Step::Restart => {
                    drop(spool);
                    spool = folder.open(u64::MAX);
                }
                Step::Crash(share) => {
                    drop(spool);
                    if let Some(last) = folder.segments().last() {
                        cut(last, share);
                        (is_hurt, is_cut) = (true, true);
                    }
                    spool = folder.open(u64::MAX);
                }
                Step::Damage(segment, share) => {
                    drop(spool);
                    let segments = folder.segments();
                    let hit = segments.get((segments.len() as f64 * segment) as usize);
                    if let Some(path) = hit {
                        let mut bytes = fs::read(path).unwrap();
                        let at = (bytes.len() as f64 * share) as usize;
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte ^= 0x55;
                            is_hurt = true;
                        }
                        fs::write(path, bytes).unwrap();
                    }
                    spool = folder.open(u64::MAX);
                }
            }
            let waiting: u64 = spool.records();
            let gone: u64 = taken.iter().map(|n| records(*n)).sum::<u64>() + told_lost;
            let all: u64 = (0..next).map(records).sum();
            // A batch whose header was cut off too leaves no trace, so it is not counted.
            if is_cut || is_hurt { prop_assert!(gone + waiting <= all) } else { prop_assert_eq!(gone + waiting, all) }
        }
        let (batches, lost) = take(&mut spool, usize::MAX);
        taken.extend(batches);
        told_lost += lost;
        prop_assert!(taken.is_sorted() && taken.windows(2).all(|pair| pair[0] < pair[1]), "{taken:?}");
        if !is_hurt {
            prop_assert_eq!(taken, (0..next).collect::<Vec<_>>());
            prop_assert_eq!(told_lost, 0);
        }
        prop_assert!(spool.is_empty() && folder.segments().is_empty());
    }
}

#[test]
fn a_crash_at_any_byte_costs_the_batches_behind_it_and_no_other() {
    let folder = Folder::new();
    let ends: Vec<u64> = {
        let mut spool = folder.open(u64::MAX);
        (0..4i32)
            .map(|n| {
                spool.append(&[&n.to_le_bytes()[..], &[9; 10]].concat(), 3).unwrap();
                fs::metadata(&folder.segments()[0]).unwrap().len()
            })
            .collect::<Vec<u64>>()
    };
    let whole = fs::read(&folder.segments()[0]).unwrap();
    let name = folder.segments()[0].clone();
    for len in 0..=whole.len() {
        fs::remove_dir_all(&folder.0).unwrap();
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(&name, &whole[..len]).unwrap();
        let mut spool = folder.open(u64::MAX);
        let kept = ends.iter().filter(|end| **end <= len as u64).count();
        // If a batch is cut within its body, its header still says how many records it had.
        let header_ends = ends.iter().map(|end| end - 14).filter(|end| *end <= len as u64).count();
        assert_eq!(spool.records(), 3 * header_ends as u64, "cut at {len}");
        let (mut batches, mut lost) = (0, 0);
        loop {
            match spool.front() {
                Front::Empty => break,
                Front::Lost(n) => lost += n,
                Front::Batch(bytes, _) => {
                    assert_eq!(bytes[..4], i32::try_from(batches).unwrap().to_le_bytes());
                    batches += 1;
                    spool.pop();
                }
            }
        }
        assert_eq!((batches, lost), (kept, 3 * (header_ends - kept) as u64), "cut at {len}");
    }
}

#[test]
fn damage_in_the_middle_is_counted_to_the_record() {
    for at in [0, 10, 31, 32, 40] {
        let folder = Folder::new();
        let mut spool = folder.open(u64::MAX);
        for _ in 0..3 {
            spool.append(b"0123456789", 4).unwrap();
        }
        drop(spool);
        let path = &folder.segments()[0];
        let mut bytes = fs::read(path).unwrap();
        bytes[42 + at] ^= 1;
        fs::write(path, bytes).unwrap();
        let mut spool = folder.open(u64::MAX);
        let (mut delivered, mut lost) = (0, 0);
        loop {
            match spool.front() {
                Front::Empty => break,
                Front::Lost(n) => lost += n,
                Front::Batch(_, n) => {
                    delivered += n;
                    spool.pop();
                }
            }
        }
        assert_eq!((delivered, lost), (8, 4), "byte {at} of the second frame");
    }
}

#[test]
fn the_limit_holds_and_space_comes_free_again() {
    let folder = Folder::new();
    let limit = 1 << 20;
    let mut spool = folder.open(limit);
    let batch = vec![7; 50_000];
    let mut appended = 0;
    while spool.append(&batch, 1).is_ok() {
        appended += 1;
    }
    assert_eq!(appended, limit / (50_000 + 32));
    assert!(matches!(spool.append(&batch, 1), Err(AppendError::Full)));
    let on_disk: u64 = folder.segments().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(on_disk <= limit, "{on_disk}");
    for _ in 0..2 {
        assert!(matches!(spool.front(), Front::Batch(..)));
        spool.pop();
    }
    spool.append(&batch, 1).unwrap();
    assert_eq!(spool.records(), appended - 1);
}

/// On other systems a file that is open cannot be deleted.
#[cfg(unix)]
#[test]
fn a_folder_that_is_deleted_is_created_again_and_costs_nothing() {
    let folder = Folder::new();
    let mut spool = folder.open(1 << 20);
    fs::remove_dir_all(&folder.0).unwrap();
    spool.append(&body(1), 1).unwrap();
    assert_eq!(folder.segments().len(), 1);
    fs::remove_dir_all(&folder.0).unwrap();
    spool.append(&body(2), 2).unwrap();
    assert_eq!((spool.records(), take(&mut spool, 9)), (3, (vec![1, 2], 0)));
    spool.append(&body(3), 3).unwrap();
    fs::remove_dir_all(&folder.0).unwrap();
    assert_eq!(take(&mut spool, 9), (vec![3], 0));
    // It is whole, and locked.
    spool.append(&body(4), 4).unwrap();
    let error = Spool::open(&folder.0, 1 << 20).unwrap_err().to_string();
    assert!(error.contains("another program uses it"), "{error}");
    // As after `rm folder/*`.
    for file in fs::read_dir(&folder.0).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    spool.append(&body(6), 1).unwrap();
    assert!(Spool::open(&folder.0, 1 << 20).is_err());
    assert_eq!(take(&mut spool, 9), (vec![4, 6], 0));
    spool.append(&body(7), 2).unwrap();
    drop(spool);
    assert_eq!(take(&mut folder.open(1 << 20), 9), (vec![7], 0));
}

#[test]
fn two_programs_do_not_share_one() {
    let folder = Folder::new();
    let spool = folder.open(1 << 20);
    let error = Spool::open(&folder.0, 1 << 20).unwrap_err().to_string();
    assert!(error.contains("another program uses it; give each a folder of its own"), "{error}");
    drop(spool);
    folder.open(1 << 20);
}

#[test]
fn one_that_is_reserved_is_opened_by_this_process_and_no_other() {
    let folder = Folder::new();
    crate::reserve_spool(&folder.0).unwrap();
    // As another process would.
    let other = fs::File::open(folder.0.join("lock")).unwrap();
    assert!(matches!(other.try_lock(), Err(fs::TryLockError::WouldBlock)));
    crate::reserve_spool(&folder.0).unwrap();
    let spool = folder.open(1 << 20);
    let error = crate::reserve_spool(&folder.0).unwrap_err().to_string();
    assert!(error.contains("another program uses it"), "{error}");
    drop(spool);
    other.try_lock().unwrap();
}

#[test]
fn a_cursor_that_is_damaged_costs_a_second_delivery_and_no_loss() {
    let folder = Folder::new();
    let mut spool = folder.open(1 << 20);
    for n in 0..3 {
        spool.append(&body(n), records(n)).unwrap();
    }
    assert_eq!(take(&mut spool, 2).0, [0, 1]);
    drop(spool);
    fs::write(folder.0.join("cursor"), [3; 28]).unwrap();
    assert_eq!(take(&mut folder.open(1 << 20), 9), (vec![0, 1, 2], 0));
}
