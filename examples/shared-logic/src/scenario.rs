//! The run that firmware and server both make, so that `cargo xtask demo` can compare what they recorded.

/// Rounds of the control loop; the fourth meets the loose wire.
pub const ROUNDS: u32 = 5;

/// Seed of the [`Plant`](crate::Plant).
pub const SEED: u32 = 7;

/// Set point in hundredths of a degree Celsius.
pub const SETPOINT: i32 = 2150;
