//! A span stays on its thread.

fn main() {
    let span = throughline::span!("span");
    std::thread::spawn(move || drop(span));
}
