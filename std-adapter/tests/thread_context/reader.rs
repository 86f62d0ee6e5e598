//! Reads threads' records by OTEP 4947 and the process context by OTEP 4719, from outside, of a program whose variable is in the
//! executable.

use object::elf::{FileHeader64, PT_TLS, STT_TLS};
use object::read::elf::{FileHeader, ProgramHeader, Sym};
use object::{Endianness, elf};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A process that is observed.
pub(crate) struct Reader {
    process: u32,
    memory: File,
    /// From a thread's pointer to the variable.
    offset: u64,
}

/// A valid record.
pub(crate) struct Record {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) flags: u8,
}

/// The record of the running thread, which finds it itself: where no other process may look.
pub(crate) fn own_record() -> Option<Record> {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let pointer: u64;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: this reads where the thread-local memory is.
    unsafe {
        std::arch::asm!("mov {}, fs:0", out(reg) pointer);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("mrs {}, tpidr_el0", out(reg) pointer);
    }
    let slot =
        std::ptr::with_exposed_provenance::<*const [u8; 28]>(pointer.wrapping_add(offset(&program)) as usize);
    // SAFETY: the variable is there, as the program's file says, and has a pointer.
    let record = unsafe { *slot };
    // SAFETY: it is null, or leads to a record that only this thread writes.
    unsafe { record.as_ref() }.and_then(Record::parse)
}

/// The payload of a process context.
#[derive(Message)]
struct ProcessContext {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    attributes: Vec<KeyValue>,
}

impl Record {
    /// `None` if it is not valid.
    fn parse(bytes: &[u8; 28]) -> Option<Record> {
        let part = |at: usize| bytes[at..at + 8].try_into().map(u64::from_be_bytes).unwrap();
        assert_eq!(bytes[26..28], [0, 0], "it has no attributes");
        (bytes[24] == 1).then(|| Record {
            trace_id: u128::from(part(0)) << 64 | u128::from(part(8)),
            span_id: part(16),
            flags: bytes[25],
        })
    }
}

/// As a `traceparent`; `none` for no record.
pub(crate) fn shown(record: Option<Record>) -> String {
    record.map_or("none".into(), |Record { trace_id, span_id, flags }| {
        format!("00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    })
}

impl Reader {
    pub(crate) fn of(process: u32) -> Reader {
        let memory = File::open(format!("/proc/{process}/mem")).unwrap();
        Reader { process, memory, offset: offset(&std::fs::read(format!("/proc/{process}/exe")).unwrap()) }
    }

    fn read<const N: usize>(&self, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.memory.read_exact_at(&mut bytes, address).unwrap();
        bytes
    }

    /// The record of a thread, which is stopped meanwhile; `None` if it has none, or none that is valid.
    pub(crate) fn record(&self, thread: libc::pid_t) -> Option<Record> {
        let stopped = Stopped::of(thread);
        let record = u64::from_ne_bytes(self.read(stopped.pointer().wrapping_add(self.offset)));
        if record == 0 {
            return None;
        }
        assert_eq!(record % 2, 0, "records are aligned");
        Record::parse(&self.read(record))
    }

    /// The attributes of the resource, and those beside it.
    pub(crate) fn process_context(&self) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.process)).unwrap();
        let is_it = |line: &&str| line.contains("/memfd:OTEL_CTX") || line.contains("[anon_shmem:OTEL_CTX]");
        let line = maps.lines().find(is_it).expect("a mapping with the name");
        let header = u64::from_str_radix(line.split_once('-').unwrap().0, 16).unwrap();
        assert_eq!(&self.read::<8>(header), b"OTEL_CTX");
        assert_eq!(u32::from_ne_bytes(self.read(header + 8)), 2, "the version");
        let published: u64 = u64::from_ne_bytes(self.read(header + 16));
        assert_ne!(published, 0);
        let mut payload = vec![0; u32::from_ne_bytes(self.read(header + 12)) as usize];
        self.memory.read_exact_at(&mut payload, u64::from_ne_bytes(self.read(header + 24))).unwrap();
        assert_eq!(u64::from_ne_bytes(self.read(header + 16)), published, "it has not changed meanwhile");
        let context = ProcessContext::decode(&*payload).unwrap();
        (texts(context.resource.unwrap().attributes), texts(context.attributes))
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::ArrayValue(values)) if values.values.is_empty() => "[]".to_owned(),
        other => panic!("{other:?}"),
    };
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

/// From a thread's pointer to the variable, by the executable's dynamic symbols and the layout of thread-local memory.
fn offset(executable: &[u8]) -> u64 {
    let header = FileHeader64::<Endianness>::parse(executable).unwrap();
    let endian = header.endian().unwrap();
    let sections = header.sections(endian, executable).unwrap();
    let symbols = sections.symbols(endian, executable, elf::SHT_DYNSYM).unwrap();
    let is_it = |symbol: &&elf::Sym64<Endianness>| {
        symbol.name(endian, symbols.strings()).is_ok_and(|name| name == b"otel_thread_ctx_v1")
    };
    let symbol = symbols.iter().find(is_it).expect("a dynamic symbol");
    assert_eq!((symbol.st_type(), symbol.st_size(endian)), (STT_TLS, 8));
    let segments = header.program_headers(endian, executable).unwrap();
    let block = segments.iter().find(|segment| segment.p_type(endian) == PT_TLS).unwrap();
    let align = block.p_align(endian).max(1);
    match cfg!(target_arch = "x86_64") {
        // The executable's block ends where the pointer is.
        true => symbol.st_value(endian).wrapping_sub(block.p_memsz(endian).next_multiple_of(align)),
        // It begins after 16 bytes that libc uses.
        false => symbol.st_value(endian) + 16_u64.next_multiple_of(align),
    }
}

/// A thread of another process that is stopped until this is dropped.
struct Stopped(libc::pid_t);

impl Stopped {
    fn of(thread: libc::pid_t) -> Stopped {
        let check = |result: libc::c_long, what: &str| {
            assert!(result >= 0, "{what} of thread {thread}: {}", io::Error::last_os_error());
        };
        // SAFETY: the thread belongs to a child of this process; nothing is written.
        check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, thread, 0, 0) }, "PTRACE_SEIZE");
        let stopped = Stopped(thread);
        // SAFETY: as above.
        check(unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, thread, 0, 0) }, "PTRACE_INTERRUPT");
        let mut status = 0;
        // SAFETY: the pointer is valid.
        check(unsafe { libc::waitpid(thread, &mut status, libc::__WALL) }.into(), "waitpid");
        assert!(libc::WIFSTOPPED(status), "{status:#x}");
        stopped
    }

    /// The thread pointer, from which thread-local memory is found.
    #[cfg(target_arch = "x86_64")]
    fn pointer(&self) -> u64 {
        // SAFETY: zeros are valid registers.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        // SAFETY: the thread is stopped, and there is room for its registers.
        let result = unsafe { libc::ptrace(libc::PTRACE_GETREGS, self.0, 0, &raw mut registers) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
        registers.fs_base
    }

    #[cfg(target_arch = "aarch64")]
    fn pointer(&self) -> u64 {
        const NT_ARM_TLS: libc::c_int = 0x401;
        let mut pointer = 0_u64;
        let mut room = libc::iovec { iov_base: (&raw mut pointer).cast(), iov_len: 8 };
        // SAFETY: the thread is stopped, and there is room for the register.
        let result = unsafe { libc::ptrace(libc::PTRACE_GETREGSET, self.0, NT_ARM_TLS, &raw mut room) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
        pointer
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // SAFETY: the thread goes on. This fails only if it has ended.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, 0, 0) };
    }
}
