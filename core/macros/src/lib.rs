//! Attribute macros of throughline.

use proc_macro::TokenStream;

/// Placeholder.
#[proc_macro_attribute]
pub fn instrument(_args: TokenStream, item: TokenStream) -> TokenStream { item }

/// Placeholder.
#[proc_macro_attribute]
pub fn traced(_args: TokenStream, item: TokenStream) -> TokenStream { item }
