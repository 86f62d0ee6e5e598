//! `throughline pgo`: what a nightly compiler makes of the profile.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use throughline_profile::{CpuOptions, CpuProfiler};

/// One round in 64 takes the first branch.
const SOURCE: &str = r#"
use std::hint::black_box;

#[unsafe(no_mangle)]
pub extern "C" fn work(rounds: u64) -> u64 {
    let mut x = 1_u64;
    for i in 0..rounds {
        if black_box(i) % 64 == 0 {
            x = black_box(x.rotate_left(7)) ^ i;
        } else {
            x = black_box(x.wrapping_mul(0x9E37_79B9_7F4A_7C15)) + 1;
            x = black_box(x.wrapping_mul(0x9E37_79B9_7F4A_7C15)) + 3;
        }
    }
    x
}
"#;

/// Builds the library, or its code in the compiler's intermediate language, with a nightly compiler.
fn build(folder: &Path, output: &str, more: &[&str]) -> PathBuf {
    let output = folder.join(output);
    let mut rustc = Command::new("rustup");
    rustc.args(["run", "nightly", "rustc", "-O", "-Cdebuginfo=1", "-Zdebug-info-for-profiling"]);
    rustc.args(["--edition", "2024", "--crate-type", "cdylib", "work.rs", "-o"]).arg(&output);
    let made = rustc.args(more).current_dir(folder).output().expect("rustup runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    output
}

/// Runs the library's function until a profile has its samples; returns the file in pprof's format.
fn profile(library: &Path) -> Vec<u8> {
    let path = std::ffi::CString::new(library.to_str().unwrap()).unwrap();
    // SAFETY: the library does nothing when it is loaded.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null());
    // SAFETY: the handle is valid.
    let function = unsafe { libc::dlsym(handle, c"work".as_ptr()) };
    assert!(!function.is_null());
    // SAFETY: the function has this form.
    let work = unsafe { std::mem::transmute::<*mut libc::c_void, extern "C" fn(u64) -> u64>(function) };
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(999)).unwrap();
    let (begun, mut of_library) = (Instant::now(), None);
    while of_library.is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the library has no samples");
        std::hint::black_box(work(300_000_000));
        let profile = profiler.take();
        of_library = (profile.samples() >= 50).then_some(profile);
    }
    of_library.unwrap().symbolize().pprof()
}

/// How often the branch for one round in 64 is taken and not taken, as the compiler was told; `None` if it was not.
fn weights(code: &str) -> Option<[u64; 2]> {
    let function = code.split_once("@work(").expect("the function").1;
    let condition = function.split_once(", 63").expect("the remainder").1;
    let (comparison, branch) = condition.split_once("br i1 ").expect("the branch");
    let is_eq = comparison.contains("icmp eq");
    let number = branch.lines().next()?.split_once("!prof !")?.1.trim();
    let list = code.split_once(&format!("\n!{number} = !{{!\"branch_weights\", "))?.1.lines().next()?;
    let mut weights = list.split("i32 ").skip(1).map(|it| it.trim_matches([',', ' ', '}']).parse().unwrap());
    let [taken, not_taken] = [weights.next()?, weights.next()?];
    Some(if is_eq { [taken, not_taken] } else { [not_taken, taken] })
}

/// Run by `cargo xtask test --only pgo`, which sees to it that there is a nightly compiler.
#[test]
#[ignore = "needs a nightly compiler: run `cargo xtask test --only pgo`"]
fn a_nightly_compiler_weighs_branches_as_the_profile_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("work.rs"), SOURCE).unwrap();
    let library = build(folder.path(), "libwork.so", &[]);
    std::fs::write(folder.path().join("cpu.pb.gz"), profile(&library)).unwrap();
    let mut tool = Command::new(env!("CARGO_BIN_EXE_throughline"));
    tool.args(["pgo", "--executable", "libwork.so", "-o", "work.prof", "cpu.pb.gz"]);
    let made = tool.current_dir(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let profile = std::fs::read_to_string(folder.path().join("work.prof")).unwrap();
    println!("{profile}");

    let code = |name: &str, more: &[&str]| {
        let file = build(folder.path(), name, &[&["--emit=llvm-ir"], more].concat());
        std::fs::read_to_string(file).unwrap()
    };
    assert_eq!(weights(&code("without.ll", &[])), None);
    let with = code("with.ll", &["-Zprofile-sample-use=work.prof"]);
    let [rare, usual] = weights(&with).unwrap_or_else(|| panic!("no weights for {profile}"));
    // A sample is a moment, not a round: the usual branch takes nearly all of the time.
    println!("weights {rare} and {usual}");
    assert!(usual > 4 * rare, "{rare} and {usual} for {profile}");
}
