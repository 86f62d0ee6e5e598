//! Throughline.
fn main() {}
