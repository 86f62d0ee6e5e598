//! The dashboards.

mod actions;
mod devices;
mod events;
mod health;
mod overview;
mod troubleshooting;

use super::model::Board;

/// All dashboards, in the order in which an operator opens them.
pub const ALL: &[Board] =
    &[overview::BOARD, events::BOARD, actions::BOARD, health::BOARD, troubleshooting::BOARD, devices::BOARD];
