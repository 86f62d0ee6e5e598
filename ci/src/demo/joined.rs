//! One trace over two machines: a request to the service, below it a command to the microcontroller, and
//! below that a request of the microcontroller.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};

use super::http::request;
use super::server::{Server, blocks};
use crate::firmware::{Firmware, Tool};

/// Runs it, checks that ids and parents match, and returns the traces as drawn.
pub(super) fn run(server: &Server, firmware: &Firmware, tool: &Tool) -> Result<String> {
    let running = server.start()?;
    // From the service to the microcontroller: send the `traceparent` of the service's answer over the serial
    // port.
    let answer = request(running.address, "POST", "/run?rounds=1", None)?;
    ensure!(answer.status == 200, "the service answers {}", answer.status);
    let from_service = answer.header("traceparent").context("the service's answer has no traceparent")?;
    let capture = firmware.run("remote", format!("{from_service}\n").as_bytes(), |_| Ok(()))?;

    // From the microcontroller to the service: put the `traceparent` that the firmware printed into a
    // request.
    let from_device = capture.said("traceparent")?.join(" ");
    let answer = request(running.address, "POST", "/run?rounds=1", Some(&from_device))?;
    ensure!(answer.status == 200, "the service answers {} to the microcontroller", answer.status);
    let drawn = running.stop()?;

    let (trace, service_span) = ids(from_service)?;
    let (trace_again, device_span) = ids(&from_device)?;
    let (trace_at_last, _) =
        ids(answer.header("traceparent").context("the second answer has no traceparent")?)?;
    ensure!(
        trace == trace_again,
        "the microcontroller did not continue the trace: {from_service}, then {from_device}"
    );
    ensure!(
        trace == trace_at_last,
        "the service did not continue the trace: {from_device}, then {trace_at_last}"
    );
    let objects = tool.json(&capture)?;
    let command = objects.iter().find(|object| object["kind"] == "span" && object["name"] == "command");
    let command = command.context("the microcontroller recorded no span `command`")?;
    ensure!(command["trace_id"] == trace, "the span on the microcontroller is of another trace: {command}");
    ensure!(command["parent_span_id"] == service_span, "its parent is not the service's span: {command}");
    ensure!(
        command["span_id"] == device_span,
        "its id is not the one that the microcontroller printed: {command}"
    );

    let of_service: Vec<String> = blocks(&drawn).into_iter().filter(|block| block.contains(trace)).collect();
    ensure!(
        of_service.len() == 2,
        "the service drew {} parts of the trace, not two: {drawn}",
        of_service.len()
    );
    let tree = tool.tree(&capture)?;
    let of_device = blocks(&tree)
        .into_iter()
        .find(|block| block.contains(trace))
        .context("the host tool drew no such trace")?;
    let mut text = String::new();
    for (who, part) in [
        ("the service", of_service[0].as_str()),
        ("the microcontroller, below the service's http.request", &of_device),
        ("the service again, below the microcontroller's command", &of_service[1]),
    ] {
        // Writing to a string can't fail.
        let _ = writeln!(text, "── {who}\n{part}");
    }
    let _ = writeln!(text, "one trace, {trace}, through both");
    Ok(text)
}

/// Trace and span id of a `traceparent`.
fn ids(traceparent: &str) -> Result<(&str, &str)> {
    let fields: Vec<&str> = traceparent.split('-').collect();
    match fields[..] {
        ["00", trace, span, "01"] => Ok((trace, span)),
        _ => anyhow::bail!("no sampled traceparent: {traceparent}"),
    }
}
