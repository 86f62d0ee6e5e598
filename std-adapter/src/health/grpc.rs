//! What is told over gRPC.

use super::Board;

/// Whether a service of this name serves; `None` if there is none.
pub(super) fn is_serving(board: &Board, name: &str) -> Option<bool> {
    let report = board.report();
    let (_, is_well) = match name {
        "" | "readiness" => report.readiness(),
        "liveness" => report.liveness(),
        "startup" => report.startup(),
        _ => {
            let line = report.lines.iter().find(|line| line.check.name == name)?;
            return Some(line.finding.status != super::Status::Unhealthy);
        }
    };
    Some(is_well)
}
