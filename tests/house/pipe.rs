//! Named pipes at which a program under test waits until a test lets it go on. Neither side may wait in a call that nobody could give up.

use rustix::fs::{CWD, Mode, OFlags};
use std::path::Path;

/// Makes one, where there is none.
pub(crate) fn make(path: &Path) {
    match rustix::fs::mkfifoat(CWD, path, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// Lets whoever reads there go on, by one line; whether somebody did.
pub(crate) fn pass(path: &Path) -> bool {
    let opened = rustix::fs::open(path, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty());
    opened.is_ok_and(|pipe| rustix::io::write(pipe, b"\n").is_ok())
}
