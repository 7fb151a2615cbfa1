//! Builds anew when a migration changes: the macro that embeds them does not tell cargo which files it read.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations/embedded");
}
