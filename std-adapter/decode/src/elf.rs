//! The program on the device, as an ELF: its callsites, its static strings and its build id.

use std::ops::Range;
use std::path::{Path, PathBuf};

use object::{Object, ObjectKind, ObjectSection, SectionFlags, elf::SHF_ALLOC};
use throughline::adapter::callsite::Blob;
use throughline::adapter::wire::checksum;

use crate::preamble::Hex;

/// Name of the section with the callsites, if the program was linked with `throughline.x` or runs on a host.
pub const SECTION: &str = ".throughline";
/// Name of this section in firmware that was linked without `throughline.x`.
pub const SECTION_IN_FLASH: &str = "throughline_callsites";

/// An ELF in memory, which takes as much as the file. The results of its methods borrow from it.
#[derive(Debug)]
pub struct Elf {
    path: PathBuf,
    data: Vec<u8>,
    callsites: Range<usize>,
    callsites_address: u64,
    build_id: Vec<u8>,
    is_position_independent: bool,
    /// Address and range in the file of every section that the device holds.
    loaded: Vec<(u64, Range<usize>)>,
}

/// Why an ELF cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}; pass the ELF that cargo built, such as target/<target>/release/<name>", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is not an ELF.
    #[error(
        "{} is not an ELF ({source}); pass the file that cargo built, not the .bin, .hex or .uf2 made from it",
        path.display()
    )]
    NotElf {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file has no callsites.
    #[error(
        "{} has no section {SECTION}: the program has no throughline callsites, or it was stripped; \
         build with `strip = false` or `strip = \"debuginfo\"` and pass the file before any objcopy",
        path.display()
    )]
    NoSection {
        /// The file.
        path: PathBuf,
    },
}

/// The ELF does not belong to the program that made the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} has {} {}, but the device runs {}; pass the ELF of that build, or flash this one",
    path.display(), what.name(), if elf.is_empty() { "none".to_owned() } else { Hex(elf).to_string() }, Hex(device)
)]
#[non_exhaustive]
pub struct BuildIdMismatch {
    /// The file of the ELF.
    pub path: PathBuf,
    /// What was compared.
    pub what: BuildMark,
    /// The mark of the ELF; empty if it has none.
    pub elf: Vec<u8>,
    /// The mark that the device sent.
    pub device: Vec<u8>,
}

/// What identifies a build of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildMark {
    /// The GNU build id.
    BuildId,
    /// The checksum of the callsites.
    Callsites,
}

impl BuildMark {
    fn name(self) -> &'static str {
        match self {
            BuildMark::BuildId => "build id",
            BuildMark::Callsites => "callsites with checksum",
        }
    }
}

impl Elf {
    /// Reads the ELF at `path`.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, is not an ELF, or has no callsites.
    pub fn read(path: impl Into<PathBuf>) -> Result<Elf, ElfError> {
        let path = path.into();
        match std::fs::read(&path) {
            Ok(data) => Elf::parse(path, data),
            Err(source) => Err(ElfError::Read { path, source }),
        }
    }

    /// Parses an ELF that is already in memory. Errors name `path`. Accepts any bytes without panicking.
    ///
    /// # Errors
    ///
    /// Fails if the data is not an ELF or has no callsites.
    pub fn parse(path: impl Into<PathBuf>, data: Vec<u8>) -> Result<Elf, ElfError> {
        let path = path.into();
        let mut loaded = Vec::new();
        let mut callsites = None;
        let (build_id, is_position_independent);
        {
            let file = match object::File::parse(&*data) {
                Ok(file) => file,
                Err(error) => return Err(ElfError::NotElf { path, source: error.into() }),
            };
            build_id = file.build_id().ok().flatten().unwrap_or_default().to_vec();
            is_position_independent = file.kind() == ObjectKind::Dynamic;
            for section in file.sections() {
                let place = section.file_range().and_then(|(start, len)| {
                    let start = usize::try_from(start).ok()?;
                    let end = start.checked_add(usize::try_from(len).ok()?)?;
                    (end <= data.len()).then_some(start..end)
                });
                let Some(place) = place else { continue };
                if section.name() == Ok(SECTION) || section.name() == Ok(SECTION_IN_FLASH) {
                    callsites = Some((section.address(), place.clone()));
                }
                let flags = section.flags();
                if matches!(flags, SectionFlags::Elf { sh_flags, .. } if (sh_flags & SHF_ALLOC).0 != 0) {
                    loaded.push((section.address(), place));
                }
            }
        }
        let Some((callsites_address, callsites)) = callsites else {
            return Err(ElfError::NoSection { path });
        };
        Ok(Elf { path, data, callsites, callsites_address, build_id, is_position_independent, loaded })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// GNU build id; empty if the program was linked without `--build-id`.
    pub fn build_id(&self) -> &[u8] {
        &self.build_id
    }

    /// Whether the system chooses the address at which the program is loaded, as for most programs of a host
    /// (PIE). The ids of its callsites are then higher than the addresses in the ELF, all by the same amount.
    pub fn is_position_independent(&self) -> bool {
        self.is_position_independent
    }

    /// Checks the build id that a device sent, or its checksum of the callsites. `Ok(false)` means that the
    /// device sent neither, so nothing is known. A checksum costs one pass over the callsites.
    ///
    /// # Errors
    ///
    /// Fails if the ELF belongs to another build.
    pub fn check_build_id(&self, device: &[u8]) -> Result<bool, BuildIdMismatch> {
        if device.is_empty() {
            return Ok(false);
        }
        if self.build_id == device {
            return Ok(true);
        }
        let (mut what, mut elf) = (BuildMark::BuildId, self.build_id.clone());
        if device.len() == size_of::<u32>() {
            let section = self.data.get(self.callsites.clone()).unwrap_or_default();
            (what, elf) = (BuildMark::Callsites, checksum(section).to_le_bytes().to_vec());
        }
        if elf == device {
            return Ok(true);
        }
        Err(BuildIdMismatch { path: self.path.clone(), what, elf, device: device.to_vec() })
    }

    /// Every callsite with its id, in the order of the section. Padding is skipped.
    pub fn callsites(&self) -> impl Iterator<Item = (u64, Blob<'_>)> {
        let section = self.data.get(self.callsites.clone()).unwrap_or_default();
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                let rest = section.get(at..)?;
                at += rest.iter().position(|b| Blob::begins_with(*b))?;
                match Blob::parse(section.get(at..)?) {
                    Some(blob) => {
                        let id = self.callsites_address.wrapping_add(at as u64);
                        at += blob.len.max(1);
                        return Some((id, blob));
                    }
                    None => at += 1,
                }
            }
        })
    }

    /// The static string of `len` bytes at `address`; `None` when no loaded section holds it or it is not UTF-8.
    pub fn text(&self, address: u64, len: u64) -> Option<&str> {
        self.loaded.iter().find_map(|(start, place)| {
            let from = usize::try_from(address.checked_sub(*start)?).ok()?;
            let to = from.checked_add(usize::try_from(len).ok()?)?;
            let section = self.data.get(place.clone())?;
            std::str::from_utf8(section.get(from..to)?).ok()
        })
    }
}
