//! Commands that are run with news on their standard input.

use std::io::{self, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use throughline_export::ledger::DropReason;
use throughline_export::{Deadline, ExportError};

/// Time between two looks at whether the command has ended.
const LOOK: Duration = Duration::from_millis(10);
/// What a command exits with that wants to be run again later (`EX_TEMPFAIL` of sysexits.h).
const LATER: i32 = 75;
const PAUSE: Duration = Duration::from_secs(5);

/// Runs a program without a shell, with `body` on its standard input. What it writes to its standard output is dropped. It fails with a status that is
/// not 0; with 75 it is run again until the deadline. If it has not ended by then, it is killed, with what it has started.
pub(crate) fn run(
    program: &str,
    arguments: &[String],
    variables: &[(&str, String)],
    body: &str,
    deadline: &Deadline,
) -> Result<(), ExportError> {
    loop {
        let mut child = start(program, arguments, variables, body).map_err(|error| {
            let why =
                format!("the command {program} cannot be run: {error}; check its path and its permissions");
            ExportError::new(DropReason::Refused, 1, why)
        })?;
        let status = ended(&mut child, deadline).map_err(|error| {
            ExportError::new(DropReason::Unreachable, 1, format!("the command {program} is lost: {error}"))
        })?;
        match status {
            Some(status) if status.success() => return Ok(()),
            Some(status) if status.code() == Some(LATER) && deadline.pause(PAUSE) => {}
            Some(status) => {
                let why =
                    format!("the command {program} failed with {status}; see what it says on standard error");
                return Err(ExportError::new(DropReason::Refused, 1, why));
            }
            None => {
                let why = format!("the command {program} had not ended in time, and was killed");
                return Err(ExportError::new(DropReason::Unreachable, 1, why));
            }
        }
    }
}

fn start(program: &str, arguments: &[String], variables: &[(&str, String)], body: &str) -> io::Result<Child> {
    let mut command = Command::new(program);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let body = body.to_owned();
        // On a thread, because a command that does not read would block it. It ends with the command.
        let written = std::thread::Builder::new().name("throughline-stdin".into()).spawn(move || {
            let _ = stdin.write_all(body.as_bytes());
        });
        if let Err(error) = written {
            killed(&mut child)?;
            return Err(error);
        }
    }
    Ok(child)
}

/// Waits until the command ends; `None` if the deadline came first, and it was killed.
fn ended(child: &mut Child, deadline: &Deadline) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if !deadline.pause(LOOK) {
            killed(child)?;
            return Ok(None);
        }
    }
}

/// Kills the command, and on Unix what it has started too.
fn killed(child: &mut Child) -> io::Result<()> {
    #[cfg(unix)]
    if let Ok(group) = libc::pid_t::try_from(child.id()) {
        // SAFETY: the call takes no memory of ours. The number is that of a child which was not waited for, and of the group that it leads.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    child.kill()?;
    child.wait().map(drop)
}
