//! Terminals as an input. In line mode they change the device's bytes and echo them back to it, so they are
//! refused.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::CliError;

/// Opens a path for reading. A serial port is opened without waiting for a carrier, and does not become this
/// process's terminal.
#[cfg(unix)]
pub(super) fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    if !std::fs::metadata(path)?.file_type().is_char_device() {
        return File::open(path);
    }
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

/// Standard input as a file.
#[cfg(unix)]
pub(super) fn standard_input() -> io::Result<File> {
    use std::os::fd::AsFd;

    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Refuses a terminal that is not raw. `path` is the path that was passed; `None` is standard input.
#[cfg(unix)]
pub(super) fn refuse_line_mode(file: &File, elf: &Path, path: Option<&PathBuf>) -> Result<(), CliError> {
    use rustix::termios::{LocalModes, tcgetattr, ttyname};

    // Without terminal settings it is not a terminal.
    let Ok(settings) = tcgetattr(file) else { return Ok(()) };
    if !settings.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO) {
        return Ok(());
    }
    let name = ttyname(file, Vec::new()).ok().and_then(|name| name.into_string().ok()).map(PathBuf::from);
    let port = path.cloned().or(name.filter(|name| !is_persons(name)));
    Err(match port {
        Some(port) => CliError::LineMode { port, elf: elf.to_owned() },
        None => CliError::Terminal,
    })
}

/// Whether this is a user's terminal and not a serial port.
#[cfg(unix)]
fn is_persons(name: &Path) -> bool {
    name.starts_with("/dev/pts") || name == Path::new("/dev/tty") || name == Path::new("/dev/console")
}

#[cfg(not(unix))]
pub(super) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(windows)]
pub(super) fn standard_input() -> io::Result<File> {
    use std::os::windows::io::AsHandle;

    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

#[cfg(not(unix))]
pub(super) fn refuse_line_mode(_: &File, _: &Path, _: Option<&PathBuf>) -> Result<(), CliError> {
    Ok(())
}
