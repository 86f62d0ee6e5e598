//! The mapping that says what the process is, by OTEP 4719 (`oteps/profiles/4719-process-ctx.md` of OpenTelemetry's
//! specification), with what readers of threads' records need.

use std::ffi::CStr;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
use throughline_export::Resource;
use throughline_export::otlp::process_context;

/// The name by which readers find the mapping.
const NAME: &CStr = c"OTEL_CTX";
const SIGNATURE: u64 = u64::from_ne_bytes(*b"OTEL_CTX");
const VERSION: u32 = 2;
/// How threads' records are found and laid out. Readers know it by this name.
const SCHEMA: &str = "tlsdesc_v1_dev";
/// Most bytes of the encoded resource; the system provides the pages that are used.
const ROOM: usize = (64 << 10) - size_of::<Header>();

/// What the mapping begins with. Readers look at any time, from other processes.
#[repr(C)]
struct Header {
    signature: AtomicU64,
    version: AtomicU32,
    size: AtomicU32,
    /// When it was published, in nanoseconds since the system's start; 0 while it changes.
    published: AtomicU64,
    payload: AtomicPtr<AtomicU8>,
}

#[repr(C)]
struct Mapping {
    header: Header,
    payload: [AtomicU8; ROOM],
}

static MAPPING: AtomicPtr<Mapping> = AtomicPtr::new(ptr::null_mut());
/// The process that has the mapping. One that is forked from it has not.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Publishes what the process is, instead of what was published before. There must be one caller at a time.
pub(super) fn publish(resource: &Resource) -> io::Result<()> {
    let payload = process_context(resource, SCHEMA);
    if payload.len() > ROOM {
        let text = format!("its resource takes {} bytes, and {ROOM} are the most", payload.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    if PROCESS.load(Ordering::Relaxed) != std::process::id() {
        MAPPING.store(map()?, Ordering::Relaxed);
        PROCESS.store(std::process::id(), Ordering::Relaxed);
    }
    // SAFETY: the mapping is as large as this, zeros are valid, and it is never unmapped.
    let Mapping { header, payload: place } = unsafe { &*MAPPING.load(Ordering::Relaxed) };
    header.published.store(0, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    place.iter().zip(&payload).for_each(|(place, byte)| place.store(*byte, Ordering::Relaxed));
    header.version.store(VERSION, Ordering::Relaxed);
    header.size.store(payload.len() as u32, Ordering::Relaxed);
    header.payload.store(place.as_ptr().cast_mut(), Ordering::Relaxed);
    fence(Ordering::SeqCst);
    header.published.store(since_start(), Ordering::Relaxed);
    fence(Ordering::SeqCst);
    header.signature.store(SIGNATURE, Ordering::Relaxed);
    name();
    Ok(())
}

/// A mapping that forked processes do not inherit, with the name if the system has `memfd_create`.
fn map() -> io::Result<*mut Mapping> {
    let failed = |failed: bool| if failed { Err(io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: the name ends with a zero.
    let file = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC) };
    let kind = if file < 0 { libc::MAP_PRIVATE | libc::MAP_ANONYMOUS } else { libc::MAP_PRIVATE };
    let (length, access) = (size_of::<Mapping>(), libc::PROT_READ | libc::PROT_WRITE);
    let mapped = || {
        if file >= 0 {
            // SAFETY: the file is open.
            failed(unsafe { libc::ftruncate(file, length as libc::off_t) } != 0)?;
        }
        // SAFETY: the system chooses a place that nothing else has.
        let mapping = unsafe { libc::mmap(ptr::null_mut(), length, access, kind, file, 0) };
        failed(mapping == libc::MAP_FAILED)?;
        // SAFETY: the mapping is as long.
        failed(unsafe { libc::madvise(mapping, length, libc::MADV_DONTFORK) } != 0)?;
        Ok(mapping.cast())
    };
    let result = mapped();
    if file >= 0 {
        // SAFETY: the file is open, and nothing else uses it.
        unsafe { libc::close(file) };
    }
    result
}

/// Names the mapping, so that it is found without `memfd_create` too. Old systems refuse, which does no harm.
fn name() {
    let (mapping, length) = (MAPPING.load(Ordering::Relaxed), size_of::<Mapping>());
    // SAFETY: the mapping is as long, and the name ends with a zero.
    unsafe { libc::prctl(libc::PR_SET_VMA, libc::PR_SET_VMA_ANON_NAME, mapping, length, NAME.as_ptr()) };
}

/// Nanoseconds since the system's start; never 0.
fn since_start() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    (time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64).max(1)
}
