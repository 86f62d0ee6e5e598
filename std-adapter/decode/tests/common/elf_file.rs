//! Writes small ELF files with callsites and static strings.
#![allow(dead_code, unreachable_pub, missing_docs)] // Each test binary uses a part of it.

/// A callsite to put into an ELF.
#[derive(Clone, Debug, Default)]
pub struct Site {
    pub kind: u8,
    pub level: u8,
    pub span_kind: u8,
    pub param: u8,
    pub line: u32,
    pub name: &'static str,
    pub unit: &'static str,
    pub description: &'static str,
    pub fields: &'static [&'static str],
    pub labels: &'static [(&'static str, &'static str)],
}

impl Site {
    fn blob(&self) -> Vec<u8> {
        let mut b = vec![0xA1, self.kind, self.level | self.span_kind << 4, self.param, 0, 0];
        b.extend(self.line.to_le_bytes());
        b.extend([self.fields.len() as u8, self.labels.len() as u8]);
        let mut put = |s: &str| {
            b.extend((s.len() as u16).to_le_bytes());
            b.extend(s.as_bytes());
        };
        [self.name, "app::pump", "src/pump.rs", self.unit, self.description].into_iter().for_each(&mut put);
        self.fields.iter().for_each(|s| put(s));
        self.labels.iter().for_each(|(k, v)| {
            put(k);
            put(v);
        });
        let len = (b.len() as u16).to_le_bytes();
        b[4..6].copy_from_slice(&len);
        b
    }
}

/// Address of the first static string in [`elf`].
pub const RODATA: u32 = 0x0800_1000;

/// The contents of the section with these callsites.
pub fn section(sites: &[Site]) -> Vec<u8> {
    // Add padding, as a linker may do.
    sites.iter().flat_map(|site| [site.blob(), vec![0; 3]].concat()).collect()
}

/// An ELF32 for ARM with these callsites and static strings, and the ids of the callsites. `None` leaves the
/// section of callsites out.
pub fn elf(sites: Option<&[Site]>, strings: &str, build_id: &[u8]) -> (Vec<u8>, Vec<u64>) {
    let mut note = Vec::new();
    [4, build_id.len() as u32, 3].iter().for_each(|n: &u32| note.extend(n.to_le_bytes()));
    note.extend(b"GNU\0");
    note.extend(build_id);
    let blobs = section(sites.unwrap_or_default());
    let mut ids = Vec::new();
    let mut at = 0;
    for site in sites.unwrap_or_default() {
        ids.push(at);
        at += site.blob().len() as u64 + 3;
    }
    // Each section has a name, type, flags, address and contents.
    let mut sections = vec![(".rodata", 1u32, 2u32, RODATA, strings.as_bytes().to_vec())];
    if !build_id.is_empty() {
        sections.push((".note.gnu.build-id", 7, 2, 0x0800_0200, note));
    }
    if sites.is_some() {
        sections.push((".throughline", 1, 0, 0, blobs));
    }
    let mut names = vec![0];
    let mut name_at = |name: &str| {
        let at = names.len() as u32;
        names.extend(name.as_bytes());
        names.push(0);
        at
    };
    let mut heads: Vec<_> = sections
        .iter()
        .map(|(name, kind, flags, address, _)| (name_at(name), *kind, *flags, *address))
        .collect();
    heads.push((name_at(".shstrtab"), 3, 0, 0));
    let mut contents: Vec<Vec<u8>> = sections.into_iter().map(|s| s.4).collect();
    contents.push(names);
    let mut body = Vec::new();
    let mut table = vec![0; 40];
    for ((name, kind, flags, address), bytes) in heads.iter().zip(&contents) {
        while body.len() % 4 != 0 {
            body.push(0);
        }
        let offset = 52 + body.len() as u32;
        for word in [*name, *kind, *flags, *address, offset, bytes.len() as u32, 0, 0, 4, 0] {
            table.extend(word.to_le_bytes());
        }
        body.extend(bytes);
    }
    while body.len() % 4 != 0 {
        body.push(0);
    }
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let halves = |file: &mut Vec<u8>, n: &[u16]| n.iter().for_each(|n| file.extend(n.to_le_bytes()));
    halves(&mut file, &[2, 40]);
    for word in [1, 0, 0, 52 + body.len() as u32, 0x0500_0000] {
        file.extend(u32::to_le_bytes(word));
    }
    let count = (table.len() / 40) as u16;
    halves(&mut file, &[52, 0, 0, 40, count, count - 1]);
    assert_eq!(file.len(), 52);
    file.extend(body);
    file.extend(table);
    (file, ids)
}
