//! Messages that show missing values, and formats that no reader can apply.

use throughline::{info, warn};

fn main() {
    let ms = 3;
    info!("took {unknown} ms");
    warn!("{} of {}", ms);
    warn!("{2}", ms);
    info!("open {");
    info!("closed }");
    info!("{http.status}");
    info!("{ms + 1}");
    info!("{ms:width$} {ms}", width = 3);
    info!("{ms:.*}");
    info!("{:1$}", ms, 5);
    info!("{:.p$}", 1.5, p = 2);
    info!("{ms:y}");
    info!("{ms:x}", ms = %ms);
    info!("{:x}", true);
    info!("{}", Some(1));
    info!("lost", ms + 1);
    let text = [1, 2];
    info!("{text:?} {text:#?}");
    info!(5);
    info!();
}
