//! Options that do not exist, and options in the wrong place.

use throughline::{event, info, info_span, span};

fn main() {
    let _ = span!(traget: "db", "query");
    let _ = span!(name: "query");
    let _ = span!(level: Loud, "query");
    let _ = span!(kind: Sever, "query");
    let _ = span!(target: "a", target: "b", "query");
    let _ = span!(parent: 3, "query");
    let _ = info_span!();
    info!(kind: Server, "sent");
    event!("no level");
}
