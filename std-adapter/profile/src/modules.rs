//! The executable and the libraries of the process: where their code is and how to unwind it.
//!
//! A table of them is made outside of any handler and published. Handlers read it without a lock; a table that was
//! replaced is freed when no reader can still have it. What a table needs of a module's memory is copied, so a
//! library may be unloaded at any time.

use crate::stack::{Frame, Module};
use crate::unwind::{Bytes, Unwinder};
use framehop::Unwinder as _;
use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// All modules at one time.
pub(crate) struct Modules {
    pub(crate) unwinder: Unwinder,
    /// Sorted by address.
    pub(crate) list: Vec<Arc<Module>>,
    unwinding: Vec<framehop::Module<Bytes>>,
}

impl Modules {
    /// The number in `list` of the module that has code at this address.
    pub(crate) fn find(&self, address: u64) -> Option<usize> {
        let after = self.list.partition_point(|module| module.code.start <= address);
        let index = after.checked_sub(1)?;
        self.list[index].code.contains(&address).then_some(index)
    }
}

/// Turns addresses in memory into places in modules, and collects these modules.
#[derive(Default)]
pub(crate) struct Modulewise {
    pub(crate) modules: Vec<Arc<Module>>,
}

impl Modulewise {
    pub(crate) fn frame(&mut self, address: u64, modules: &Modules) -> Frame {
        let Some(module) = modules.find(address).map(|index| &modules.list[index]) else {
            return Frame { module: None, address };
        };
        let known = self.modules.iter().position(|known| Arc::ptr_eq(known, module));
        let index = known.unwrap_or_else(|| {
            self.modules.push(Arc::clone(module));
            self.modules.len() - 1
        });
        Frame { module: Some(index as u32), address: address.wrapping_sub(module.bias) }
    }
}

static CURRENT: AtomicPtr<Modules> = AtomicPtr::new(std::ptr::null_mut());
/// How many contexts may have a table.
static READERS: AtomicUsize = AtomicUsize::new(0);
static KEEPER: Mutex<Keeper> = Mutex::new(Keeper { changes: None, current: None, replaced: Vec::new() });

struct Keeper {
    /// How many modules the loader had loaded and unloaded when the table was made.
    changes: Option<(u64, u64)>,
    current: Option<Arc<Modules>>,
    replaced: Vec<Arc<Modules>>,
}

/// Calls `f` with the table that was published last; `None` before the first. For handlers: no lock, no allocation.
pub(crate) fn with<R>(f: impl FnOnce(Option<&Modules>) -> R) -> R {
    // SeqCst, as for the exchange in `refresh`: a reader that the keeper does not see here gets the new table.
    READERS.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the keeper owns the table, and frees it only when no reader is counted after it was replaced.
    let result = f(unsafe { CURRENT.load(Ordering::SeqCst).as_ref() });
    READERS.fetch_sub(1, Ordering::Release);
    result
}

/// Makes the table anew if libraries were loaded or unloaded. Returns the current one. Takes the loader's lock, so it
/// must not be called from a handler or an allocator. Cost: 1 µs if nothing changed, else a few 100 µs.
pub(crate) fn refresh() -> Arc<Modules> {
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    if READERS.load(Ordering::SeqCst) == 0 {
        keeper.replaced.clear();
    }
    let changes = changes();
    match &keeper.current {
        Some(current) if keeper.changes == Some(changes) => Arc::clone(current),
        current => {
            let new = Arc::new(load(current.as_deref()));
            CURRENT.store(Arc::as_ptr(&new).cast_mut(), Ordering::SeqCst);
            keeper.changes = Some(changes);
            let old = keeper.current.replace(Arc::clone(&new));
            keeper.replaced.extend(old);
            new
        }
    }
}

fn changes() -> (u64, u64) {
    let mut changes = (0, 0);
    for_each(|info, _| {
        changes = (info.dlpi_adds, info.dlpi_subs);
        false
    });
    changes
}

/// Calls `f` with each module and its program headers until it returns false. The loader's lock is held meanwhile, so
/// the modules stay in memory.
fn for_each<F: FnMut(&libc::dl_phdr_info, &[libc::Elf64_Phdr]) -> bool>(mut f: F) {
    extern "C" fn visit<F: FnMut(&libc::dl_phdr_info, &[libc::Elf64_Phdr]) -> bool>(
        info: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        f: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes a valid description.
        let info = unsafe { &*info };
        // SAFETY: this is the pointer that is passed below.
        let f = unsafe { &mut *f.cast::<F>() };
        // SAFETY: the description says how many headers there are.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        libc::c_int::from(!f(info, headers))
    }
    // SAFETY: the callback gets its own closure back.
    unsafe { libc::dl_iterate_phdr(Some(visit::<F>), (&raw mut f).cast()) };
}

/// Makes a table. Modules that the old one has too are taken from it.
fn load(old: Option<&Modules>) -> Modules {
    let mut found: Vec<(Arc<Module>, framehop::Module<Bytes>)> = Vec::new();
    let mut first = true;
    for_each(|info, headers| {
        let is_executable = std::mem::take(&mut first);
        if let Some(new) = describe(info, headers, is_executable) {
            let known = old.and_then(|old| {
                let index = old.list.iter().position(|known| **known == new && !new.build_id.is_empty())?;
                Some((Arc::clone(&old.list[index]), old.unwinding[index].clone()))
            });
            let unwinding = || Some((Arc::new(new.clone()), unwinding(&new, info, headers)?));
            found.extend(known.or_else(unwinding));
        }
        true
    });
    found.sort_by_key(|(module, _)| module.code.start);
    let (list, unwinding): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let mut unwinder = Unwinder::new();
    unwinding.iter().for_each(|module| unwinder.add_module(module.clone()));
    Modules { unwinder, list, unwinding }
}

fn describe(info: &libc::dl_phdr_info, headers: &[libc::Elf64_Phdr], is_executable: bool) -> Option<Module> {
    let runs =
        |header: &&libc::Elf64_Phdr| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0;
    let start = headers.iter().filter(runs).map(|header| header.p_vaddr).min()?;
    let end = headers.iter().filter(runs).map(|header| header.p_vaddr + header.p_memsz).max()?;
    // SAFETY: the loader keeps the name while its lock is held.
    let given = unsafe { CStr::from_ptr(info.dlpi_name) }.to_string_lossy().into_owned();
    let (path, name) = match given {
        _ if is_executable => {
            let name = std::env::current_exe().ok().and_then(|path| Some(path.to_str()?.to_owned()));
            // The link reaches the file that runs even when the file at its path was replaced.
            ("/proc/self/exe".to_owned(), name.unwrap_or_else(|| "executable".to_owned()))
        }
        vdso if vdso.starts_with("linux-vdso") || vdso.is_empty() => (String::new(), "[vdso]".to_owned()),
        path => (path.clone(), path),
    };
    let notes = headers.iter().filter(|header| header.p_type == libc::PT_NOTE);
    let build_id = notes.filter_map(|header| build_id(memory(info, headers, header.p_vaddr)?)).next();
    let bias = info.dlpi_addr;
    let code = start.wrapping_add(bias)..end.wrapping_add(bias);
    Some(Module { path, name, code, bias, build_id: build_id.unwrap_or_default() })
}

/// The memory of a module from an address of its file to the end of the segment.
fn memory<'a>(info: &'a libc::dl_phdr_info, headers: &[libc::Elf64_Phdr], address: u64) -> Option<&'a [u8]> {
    let holds = |header: &&libc::Elf64_Phdr| {
        let range = header.p_vaddr..header.p_vaddr + header.p_filesz;
        header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_R != 0 && range.contains(&address)
    };
    let segment = headers.iter().find(holds)?;
    let length = segment.p_vaddr + segment.p_filesz - address;
    let start = std::ptr::with_exposed_provenance(info.dlpi_addr.wrapping_add(address) as usize);
    // SAFETY: the loader has mapped this segment for reading, and keeps it while its lock is held.
    Some(unsafe { std::slice::from_raw_parts(start, length as usize) })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The GNU build id in a segment of notes.
fn build_id(notes: &[u8]) -> Option<Vec<u8>> {
    const GNU_BUILD_ID: u32 = 3;
    let mut at = 0;
    // A segment has few notes, and what follows the last one is not notes.
    for _ in 0..8 {
        let (name, content) = (u32_at(notes, at)? as usize, u32_at(notes, at + 4)? as usize);
        let content_at = at + 12 + name.next_multiple_of(4);
        if u32_at(notes, at + 8)? == GNU_BUILD_ID && notes.get(at + 12..at + 16)? == b"GNU\0" {
            return Some(notes.get(content_at..content_at + content)?.to_vec());
        }
        at = content_at + content.next_multiple_of(4);
    }
    None
}

/// Copies what unwinding needs. `None` if the module has no table of its functions' frames (`.eh_frame_hdr`).
fn unwinding(
    module: &Module,
    info: &libc::dl_phdr_info,
    headers: &[libc::Elf64_Phdr],
) -> Option<framehop::Module<Bytes>> {
    /// The encoding that all linkers use for the address of `.eh_frame`: signed, 4 bytes, from its own place.
    const PCREL_SDATA4: u8 = 0x1b;
    let lookup = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME)?;
    let table = memory(info, headers, lookup.p_vaddr)?.get(..lookup.p_memsz as usize)?;
    if *table.get(1)? != PCREL_SDATA4 {
        return None;
    }
    let frames_at = (lookup.p_vaddr + 4).wrapping_add_signed(u32_at(table, 4)?.cast_signed().into());
    let frames = memory(info, headers, frames_at)?;
    let frames = &frames[..frames_length(frames)];
    let loads = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    let base = loads().map(|header| header.p_vaddr).min()?;
    let end = loads().map(|header| header.p_vaddr + header.p_memsz).max()?;
    let sections = framehop::ExplicitModuleSectionInfo::<Bytes> {
        base_svma: base,
        text_svma: Some(
            module.code.start.wrapping_sub(module.bias)..module.code.end.wrapping_sub(module.bias),
        ),
        eh_frame_svma: Some(frames_at..frames_at + frames.len() as u64),
        eh_frame: Some(Bytes::from(frames)),
        eh_frame_hdr_svma: Some(lookup.p_vaddr..lookup.p_vaddr + lookup.p_memsz),
        eh_frame_hdr: Some(Bytes::from(table)),
        ..Default::default()
    };
    let in_memory = |address: u64| address.wrapping_add(module.bias);
    Some(framehop::Module::new(
        module.name.clone(),
        in_memory(base)..in_memory(end),
        in_memory(base),
        sections,
    ))
}

/// The length of `.eh_frame`, which begins at the start of `bytes`: it ends with an entry of length 0.
fn frames_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(length) = u32_at(bytes, at) {
        at += 4;
        match length {
            0 => return at,
            // The length follows in 8 bytes.
            u32::MAX => match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
                Some(length) => {
                    at = at.saturating_add(8).saturating_add(u64::from_ne_bytes(*length) as usize)
                }
                None => break,
            },
            length => at += length as usize,
        }
    }
    bytes.len().min(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_of_this_process_is_found_with_its_unwind_data() {
        let modules = refresh();
        let here = every_module_of_this_process_is_found_with_its_unwind_data as *const () as u64;
        let executable = &modules.list[modules.find(here).expect("this function's module")];
        assert_eq!(executable.path, "/proc/self/exe");
        assert!(!executable.build_id.is_empty() || cfg!(not(target_env = "gnu")));
        let libc = &modules.list[modules.find(libc::getpid as *const () as u64).expect("the module of libc")];
        assert!(!libc.name.is_empty());
        assert_eq!(modules.find(8), None);
        assert!(Arc::ptr_eq(&modules, &refresh()), "nothing was loaded, so the table stays");
    }

    #[test]
    fn the_length_of_the_frames_is_where_their_end_is_marked() {
        let entry = |length: u32| [length.to_ne_bytes().to_vec(), vec![7; length as usize]].concat();
        let frames = [entry(12), entry(20), vec![0; 4]].concat();
        let followed = [frames.clone(), vec![9; 100]].concat();
        assert_eq!(frames_length(&followed), frames.len());
        assert_eq!(frames_length(&frames[..20]), 20, "cut off, so all of it is used");
    }
}
