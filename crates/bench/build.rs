//! Tells the bench which compiler made it and, built with it, the program under test.

use std::process::Command;

fn main() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version =
        Command::new(rustc).arg("--version").output().ok().and_then(|said| String::from_utf8(said.stdout).ok());
    println!("cargo::rustc-env=LIFECYCLE_BENCH_RUSTC={}", version.as_deref().unwrap_or("unknown").trim());
    println!("cargo::rerun-if-changed=build.rs");
}
