//! Finds symbols in a firmware's ELF file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSymbol};

/// The address of the symbol `name` in the ELF file `elf`.
///
/// # Errors
///
/// Fails if the file can't be read, isn't ELF, or defines no such symbol.
pub fn address_of(elf: &Path, name: &str) -> Result<u64> {
    let data = fs::read(elf).with_context(|| format!("can't read {}", elf.display()))?;
    let file = object::File::parse(&*data).with_context(|| format!("{} is not ELF", elf.display()))?;
    let symbol = file.symbols().find(|symbol| symbol.is_definition() && symbol.name() == Ok(name));
    let symbol = symbol.with_context(|| {
        format!("{} has no symbol `{name}`: is it stripped, or built without what defines it?", elf.display())
    })?;
    Ok(symbol.address())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn symbols_are_found_and_missing_ones_named() {
        let this = std::env::current_exe().unwrap();
        assert_ne!(address_of(&this, "main").unwrap(), 0);
        let error = address_of(&this, "no_such_symbol").unwrap_err().to_string();
        assert!(error.contains("no_such_symbol"), "{error}");
    }

    #[test]
    fn other_files_are_refused() {
        let manifest = crate::workspace::root().join("Cargo.toml");
        assert!(address_of(&manifest, "main").unwrap_err().to_string().contains("is not ELF"));
    }
}
