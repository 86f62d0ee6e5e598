//! What the `macro_rules!` of the core pass on: where the crate is, the level if the macro has one, and the user's own words.

use proc_macro2::{Group, Ident, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::{Path, Result};

pub(crate) struct Input {
    /// `$crate`, or what `crate = …` said.
    pub(crate) krate: Path,
    /// The level that the macro stands for, such as `Warn` of `warn!`.
    pub(crate) level: Option<Ident>,
    pub(crate) rest: TokenStream,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> Result<Input> {
        let krate: Group = input.parse()?;
        let level: Group = input.parse()?;
        let level = if level.stream().is_empty() { None } else { Some(syn::parse2(level.stream())?) };
        Ok(Input { krate: syn::parse2(krate.stream())?, level, rest: input.parse()? })
    }
}
