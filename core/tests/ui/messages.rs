//! Messages that show what is not among their fields.

use throughline::{info, warn};

fn main() {
    let ms = 3;
    info!("took {ms} ms");
    warn!("{} of {}", ms);
    info!("open {");
    info!("closed }");
}
