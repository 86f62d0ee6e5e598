//! What profilers outside of the process read: the current span of each thread, and what the process is.
//!
//! Each thread has a pointer to the record of its recorder, in the thread-local variable `otel_thread_ctx_v1`, which readers
//! find by its name in the program's dynamic symbols (OTEP 4947). What the process is, the resource, is in a mapping that
//! they find by its name (OTEP 4719).

mod process;

use std::sync::atomic::{AtomicPtr, Ordering};
use throughline::Recorder;
use throughline::adapter::recorder::OutsideRecord;
use throughline_export::{Resource, diagnostics};

/// The readers' pointer of one thread; null without a recorder. Readers stop the thread before they look.
type Slot = AtomicPtr<OutsideRecord>;

// The language has no thread-local variables with a name in the object file, so the assembler makes it.
std::arch::global_asm!(
    ".pushsection .tbss.otel_thread_ctx_v1,\"awT\",@nobits",
    ".globl otel_thread_ctx_v1",
    ".type otel_thread_ctx_v1,@object",
    ".size otel_thread_ctx_v1,8",
    ".balign 8",
    "otel_thread_ctx_v1:",
    ".zero 8",
    ".popsection",
);

/// The slot of the running thread. The reference to the variable is a TLS descriptor, as readers want it; the linker makes a
/// constant of it in an executable.
fn slot() -> *const Slot {
    let slot: *const Slot;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the call of a descriptor changes only the registers that are named, and the memory is that of the variable.
    unsafe {
        std::arch::asm!(
            "leaq otel_thread_ctx_v1@tlsdesc(%rip), %rax",
            "callq *otel_thread_ctx_v1@tlscall(%rax)",
            "addq %fs:0, %rax",
            out("rax") slot,
            options(att_syntax),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "adrp x0, :tlsdesc:otel_thread_ctx_v1",
            "ldr x1, [x0, :tlsdesc_lo12:otel_thread_ctx_v1]",
            "add x0, x0, :tlsdesc_lo12:otel_thread_ctx_v1",
            ".tlsdesccall otel_thread_ctx_v1",
            "blr x1",
            "mrs x1, tpidr_el0",
            "add x0, x0, x1",
            out("x0") slot,
            out("x1") _,
            out("x30") _,
        );
    }
    slot
}

fn set(record: *const OutsideRecord) {
    // SAFETY: the variable belongs to the running thread, and is as large and as aligned as a pointer.
    unsafe { &*slot() }.store(record.cast_mut(), Ordering::Relaxed);
}

/// Shows the record of the recorder that the running thread has got.
pub(crate) fn show(recorder: &'static Recorder) {
    set(recorder.outside_record());
}

/// The running thread has no recorder any more. It does only what a signal handler may do.
pub(crate) fn hide() {
    set(std::ptr::null());
}

/// Shows what the process is. If readers cannot find the threads' pointers, a line on standard error says what to do.
pub(crate) fn begin(resource: impl FnOnce() -> Resource, report: bool) {
    if let Err(error) = process::publish(&resource())
        && report
    {
        diagnostics::tell(format_args!("profilers outside of the process cannot see what it is: {error}"));
    }
    if report && !is_exported() {
        diagnostics::tell(format_args!(
            "profilers outside of the process cannot see its spans, because `otel_thread_ctx_v1` is not among its dynamic \
             symbols; have the program's build.rs print `cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol=otel_thread_ctx_v1`"
        ));
    }
}

/// Whether the variable is in the table of dynamic symbols. A program without the loader of libraries cannot ask, and has
/// such a table only if it is linked as `static-pie`.
fn is_exported() -> bool {
    if cfg!(target_feature = "crt-static") {
        return true;
    }
    // SAFETY: the name ends with a zero.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"otel_thread_ctx_v1".as_ptr()) };
    std::ptr::eq(found.cast(), slot())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_its_own_slot() {
        set(std::ptr::without_provenance(8));
        let other = std::thread::spawn(|| {
            // SAFETY: as in `set`.
            let record = unsafe { &*slot() }.load(Ordering::Relaxed);
            (slot().addr(), record.is_null())
        });
        let (address, is_null) = other.join().unwrap();
        assert!(address != slot().addr() && is_null);
        hide();
    }
}
