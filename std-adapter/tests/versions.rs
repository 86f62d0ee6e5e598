//! A program with two versions of the core reports it.
#![cfg(target_os = "linux")]

mod support;

use support::stderr_of;
use throughline_std::Config;

/// The note of another version, as that version would put it into the program.
#[used]
#[unsafe(link_section = "throughline_versions")]
static OTHER: [u8; 32] = *b"0.0.9-other\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[test]
fn a_second_version_of_the_core_is_told_once_22() {
    let stderr = stderr_of("a_second_version_of_the_core_is_told_once_22", || {
        std::hint::black_box(&OTHER);
        let _guard = throughline_std::init(&Config::new("svc").terminal(false)).unwrap();
        throughline::info!("recorded");
        assert!(throughline_std::init(&Config::new("svc")).is_err());
    });
    if let Some(stderr) = stderr {
        let told: Vec<_> = stderr.lines().filter(|line| line.contains("versions of the crate")).collect();
        let [line] = told[..] else { panic!("{stderr}") };
        assert!(line.contains("2 versions") && line.contains("0.0.9-other, 0.1.0"), "{line}");
        assert!(line.contains("cargo tree"), "{line}");
    }
}
