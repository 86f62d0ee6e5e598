//! The run that both the firmware and the server make, so that `cargo xtask demo` can compare their records.

/// Number of rounds of the control loop. The fourth one meets the loose wire.
pub const ROUNDS: u32 = 5;

/// Seed of the [`Plant`](crate::Plant).
pub const SEED: u32 = 7;

/// Set point in hundredths of a degree Celsius.
pub const SETPOINT: i32 = 2150;
