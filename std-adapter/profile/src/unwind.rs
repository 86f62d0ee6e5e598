//! Walks a stack from its innermost frame outwards, without an allocation or a lock, as a signal handler must.
//!
//! The rules of each function's frame come from the tables that compilers write for exceptions (`.eh_frame`), so frame
//! pointers are not needed. Where the bounds of the running thread's stack are known, it is read directly; elsewhere
//! through the kernel, which refuses an address that is not mapped instead of ending the process, and takes longer.

use crate::modules::Modules;
pub(crate) use crate::stack::End;
use framehop::{FrameAddress, MustNotAllocateDuringUnwind, Unwinder as _};
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

/// Most frames of a stack; a deeper one keeps the innermost and is marked.
pub(crate) const MAX_FRAMES: usize = 512;

/// Copied sections of a module.
pub(crate) type Bytes = Arc<[u8]>;
#[cfg(target_arch = "x86_64")]
pub(crate) type Unwinder = framehop::x86_64::UnwinderX86_64<Bytes, MustNotAllocateDuringUnwind>;
#[cfg(target_arch = "x86_64")]
type Cache = framehop::x86_64::CacheX86_64<MustNotAllocateDuringUnwind>;
#[cfg(target_arch = "x86_64")]
type Registers = framehop::x86_64::UnwindRegsX86_64;
#[cfg(target_arch = "aarch64")]
pub(crate) type Unwinder = framehop::aarch64::UnwinderAarch64<Bytes, MustNotAllocateDuringUnwind>;
#[cfg(target_arch = "aarch64")]
type Cache = framehop::aarch64::CacheAarch64<MustNotAllocateDuringUnwind>;
#[cfg(target_arch = "aarch64")]
type Registers = framehop::aarch64::UnwindRegsAarch64;

/// Where a walk begins.
pub(crate) struct Start {
    pc: u64,
    registers: Registers,
}

impl Start {
    /// The place that a signal interrupted.
    ///
    /// # Safety
    ///
    /// `context` is the third argument of a signal's handler.
    pub(crate) unsafe fn interrupted(context: *const libc::ucontext_t) -> Start {
        // SAFETY: the caller promises a valid context.
        let machine = unsafe { &(*context).uc_mcontext };
        #[cfg(target_arch = "x86_64")]
        {
            let register = |number: libc::c_int| machine.gregs[number as usize].cast_unsigned();
            let (pc, sp, bp) = (register(libc::REG_RIP), register(libc::REG_RSP), register(libc::REG_RBP));
            Start { pc, registers: Registers::new(pc, sp, bp) }
        }
        #[cfg(target_arch = "aarch64")]
        Start { pc: machine.pc, registers: Registers::new(machine.regs[30], machine.sp, machine.regs[29]) }
    }

    /// What of a stack is in use: from this place to the stack's base. Empty if the place is not on this stack.
    pub(crate) fn in_use(&self, stack: &Range<u64>) -> Range<u64> {
        let sp = self.registers.sp();
        if stack.contains(&sp) { sp..stack.end } else { 0..0 }
    }

    /// The place that calls this.
    #[inline(always)]
    pub(crate) fn here() -> Start {
        let (pc, sp, frame): (u64, u64, u64);
        #[cfg(target_arch = "x86_64")]
        {
            // SAFETY: only copies registers.
            unsafe {
                std::arch::asm!("lea {}, [rip]", "mov {}, rsp", "mov {}, rbp", out(reg) pc, out(reg) sp, out(reg) frame,
                    options(nomem, nostack, preserves_flags));
            }
            Start { pc, registers: Registers::new(pc, sp, frame) }
        }
        #[cfg(target_arch = "aarch64")]
        {
            let link: u64;
            // SAFETY: only copies registers.
            unsafe {
                std::arch::asm!("adr {}, .", "mov {}, sp", "mov {}, x29", "mov {}, x30", out(reg) pc, out(reg) sp,
                    out(reg) frame, out(reg) link, options(nomem, nostack, preserves_flags));
            }
            Start { pc, registers: Registers::new(link, sp, frame) }
        }
    }
}

/// The memory that a walk needs, made beforehand: about 60 KiB.
pub(crate) struct Scratch {
    cache: Cache,
    stack: StackReader,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch { cache: Cache::new_in(), stack: StackReader::new() }
    }

    /// Walks the stack and calls `frame` with the address of each frame's code: the instruction of the innermost one,
    /// and a byte within the call instruction of the others. Ends early, with `None`, when `frame` returns false.
    ///
    /// # Safety
    ///
    /// `mapped` is memory that stays readable during the call, as what is [in use](Start::in_use) of the running thread's
    /// stack does.
    pub(crate) unsafe fn walk(
        &mut self,
        modules: &Modules,
        start: Start,
        mapped: Range<u64>,
        mut frame: impl FnMut(u64) -> bool,
    ) -> Option<End> {
        let Scratch { cache, stack } = self;
        stack.forget(mapped);
        let mut registers = start.registers;
        let mut address = FrameAddress::from_instruction_pointer(start.pc);
        for _ in 0..MAX_FRAMES {
            let code = address.address_for_lookup();
            if !frame(code) {
                return None;
            }
            // Without a module framehop would guess that the code keeps a frame pointer.
            if modules.find(code).is_none() {
                return Some(End::UnknownCode);
            }
            let mut read = |address| stack.read(address);
            match modules.unwinder.unwind_frame(address, &mut registers, cache, &mut read) {
                Ok(None) => return Some(End::Complete),
                Ok(Some(caller)) => match FrameAddress::from_return_address(caller) {
                    Some(caller) => address = caller,
                    None => return Some(End::Failed),
                },
                Err(_) => return Some(End::Failed),
            }
        }
        Some(End::TooDeep)
    }
}

const PAGE: u64 = 4096;
/// Pages that are kept during a walk; a power of two.
const PAGES: usize = 4;

/// Reads stacks of this process: directly what is known to be mapped, and the rest by pages.
struct StackReader {
    mapped: Range<u64>,
    /// 0 until it is needed.
    process: libc::pid_t,
    pages: Box<[Page; PAGES]>,
}

struct Page {
    /// Its address; odd if there is none.
    address: u64,
    words: [u64; PAGE as usize / 8],
}

impl StackReader {
    fn new() -> StackReader {
        let pages = Box::new([const { Page { address: 1, words: [0; _] } }; PAGES]);
        StackReader { mapped: 0..0, process: 0, pages }
    }

    /// Forgets what it has read, because the stack has changed, and who it is, because a fork has another number than its
    /// parent. From now on `mapped` is read directly.
    fn forget(&mut self, mapped: Range<u64>) {
        self.mapped = mapped;
        self.process = 0;
        self.pages.iter_mut().for_each(|page| page.address = 1);
    }

    fn read(&mut self, address: u64) -> Result<u64, ()> {
        if !address.is_multiple_of(8) {
            return Err(());
        }
        if self.mapped.contains(&address) && self.mapped.end - address >= 8 {
            // SAFETY: whoever called `walk` promised that this is mapped.
            return Ok(unsafe { read_word(address) });
        }
        if self.process == 0 {
            // SAFETY: asks the system for a number.
            self.process = unsafe { libc::getpid() };
        }
        let page_address = address & !(PAGE - 1);
        let page = &mut self.pages[(page_address / PAGE) as usize % PAGES];
        if page.address != page_address {
            page.address = 1;
            read_memory(self.process, page_address, &mut page.words)?;
            page.address = page_address;
        }
        Ok(page.words[(address % PAGE / 8) as usize])
    }
}

/// Reads a word of a stack as a debugger would: by an instruction that the compiler knows nothing of, because the word may
/// belong to any variable.
///
/// # Safety
///
/// The address is a multiple of 8 and mapped.
#[inline(always)]
unsafe fn read_word(address: u64) -> u64 {
    let word: u64;
    // SAFETY: only reads, and the caller promises that this can be read.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        std::arch::asm!("mov {}, [{}]", out(reg) word, in(reg) address, options(readonly, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        std::arch::asm!("ldr {}, [{}]", out(reg) word, in(reg) address, options(readonly, nostack, preserves_flags));
    }
    word
}

thread_local! {
    /// Where the thread's stack begins and ends; zeros before it was asked for. A handler that comes between the two stores
    /// finds an empty stack, or one that begins at 0, of which only what the thread uses is read.
    static STACK: [Cell<u64>; 2] = const { [const { Cell::new(0) }; 2] };
}

/// The memory of the running thread's stack, which stays mapped as long as the thread lives; empty before the thread has
/// called [`own_stack`]. For handlers. Cost: two thread-local reads.
#[inline]
pub(crate) fn known_stack() -> Range<u64> {
    STACK.with(|[low, high]| low.get()..high.get())
}

/// The same, for which the first call asks the system; empty if it does not tell. Cost of the first call: some microseconds,
/// for the main thread more, because the system reads a file; it may allocate.
pub(crate) fn own_stack() -> Range<u64> {
    let known = known_stack();
    if !known.is_empty() {
        return known;
    }
    let stack = ask_for_stack();
    STACK.with(|[low, high]| {
        low.set(stack.start);
        high.set(stack.end);
    });
    stack
}

fn ask_for_stack() -> Range<u64> {
    // SAFETY: zeros are memory for the attributes, which are only read after the call has set them.
    let mut attributes = unsafe { std::mem::zeroed::<libc::pthread_attr_t>() };
    // SAFETY: asks the system for a number.
    let thread = unsafe { libc::pthread_self() };
    // SAFETY: the thread is this one, and the pointer is valid.
    if unsafe { libc::pthread_getattr_np(thread, &mut attributes) } != 0 {
        return 0..0;
    }
    let (mut low, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes were set, and the pointers are valid.
    let known = unsafe { libc::pthread_attr_getstack(&attributes, &mut low, &mut size) } == 0;
    // SAFETY: the attributes were set, and are not used again.
    unsafe { libc::pthread_attr_destroy(&mut attributes) };
    let low = low.addr() as u64;
    if known { low..low + size as u64 } else { 0..0 }
}

/// Copies memory of this process, if all of it may be read. Cost: about 0.5 µs a page.
fn read_memory(process: libc::pid_t, address: u64, words: &mut [u64]) -> Result<(), ()> {
    let length = size_of_val(words);
    let to = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: length };
    let from = libc::iovec { iov_base: std::ptr::without_provenance_mut(address as usize), iov_len: length };
    // SAFETY: the system writes only to `words`, and refuses addresses that are not mapped.
    let copied = unsafe { libc::process_vm_readv(process, &to, 1, &from, 1, 0) };
    if copied.cast_unsigned() == length { Ok(()) } else { Err(()) }
}

/// Whether the system lets this process read its memory in the way that unwinding needs.
pub(crate) fn is_permitted() -> std::io::Result<()> {
    let (word, mut copy) = ([0x5a_u64; 1], [0; 1]);
    // SAFETY: asks the system for a number.
    let process = unsafe { libc::getpid() };
    match read_memory(process, word.as_ptr().expose_provenance() as u64, &mut copy) {
        Ok(()) if copy == word => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules;

    #[inline(never)]
    fn down(depth: u32, at_bottom: &mut dyn FnMut()) {
        match depth {
            0 => at_bottom(),
            _ => down(depth - 1, at_bottom),
        }
        std::hint::black_box(depth);
    }

    /// The addresses of frames, read through the kernel; read directly they must be the same.
    fn walk_from_depth(depth: u32) -> (usize, End) {
        let modules = modules::refresh();
        let (stack, mut scratch) = (own_stack(), Scratch::new());
        let mut walks = Vec::new();
        down(depth, &mut || {
            for stack in [0..0, stack.clone()] {
                let (start, mut frames) = (Start::here(), Vec::new());
                let mapped = start.in_use(&stack);
                assert_eq!(mapped.is_empty(), stack.is_empty());
                // SAFETY: this is the running thread's stack.
                let end = unsafe {
                    scratch.walk(&modules, start, mapped, |address| {
                        frames.push(address);
                        true
                    })
                };
                walks.push((frames, end.expect("no frame was refused")));
            }
        });
        let (frames, end) = walks.pop().expect("two walks");
        assert_eq!((&frames[1..], end), (&walks[0].0[1..], walks[0].1));
        (frames.len(), end)
    }

    #[test]
    fn a_stack_is_walked_to_the_thread_s_first_function() {
        let (shallow, end) = walk_from_depth(0);
        assert_eq!(end, End::Complete);
        let (deep, end) = walk_from_depth(300);
        assert_eq!((deep - shallow, end), (300, End::Complete));
    }

    #[test]
    fn a_stack_that_is_too_deep_is_cut_and_marked() {
        assert_eq!(walk_from_depth(MAX_FRAMES as u32 + 10), (MAX_FRAMES, End::TooDeep));
    }

    #[test]
    fn memory_that_is_not_mapped_is_refused() {
        let mut reader = StackReader::new();
        reader.forget(0..0);
        let word = [0x1234_5678_u64; 2];
        let address = word.as_ptr().expose_provenance() as u64;
        assert_eq!(reader.read(address), Ok(word[0]));
        assert_eq!(reader.read(address + 1), Err(()), "not aligned");
        assert_eq!(reader.read(4096), Err(()), "never mapped");
        assert_eq!(reader.read(u64::MAX - 7), Err(()));
        // Of what is known to be mapped, only whole words are read directly.
        reader.forget(address..address + 12);
        assert_eq!([reader.read(address), reader.read(address + 8)], [Ok(word[0]), Ok(word[1])]);
        assert_eq!(reader.read(address + 4), Err(()), "not aligned");
    }

    #[test]
    fn a_place_on_another_stack_is_not_taken_for_this_one() {
        let stack = std::thread::spawn(own_stack).join().unwrap();
        assert!(!stack.is_empty());
        assert_eq!(Start::here().in_use(&stack), 0..0);
    }

    #[test]
    fn a_walk_ends_at_code_of_no_module() {
        let modules = modules::refresh();
        let start = Start { pc: 0x10, registers: Start::here().registers };
        let mut frames = Vec::new();
        // SAFETY: nothing is said to be mapped.
        let end = unsafe {
            Scratch::new().walk(&modules, start, 0..0, |address| {
                frames.push(address);
                true
            })
        };
        assert_eq!((end, frames), (Some(End::UnknownCode), vec![0x10]));
    }
}
