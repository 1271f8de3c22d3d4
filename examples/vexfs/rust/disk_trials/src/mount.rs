//! mount(2) and umount(2), without starting a program for each of many.

use std::ffi::CString;
use std::io;
use std::os::raw::{c_char, c_int, c_ulong, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

extern "C" {
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn umount2(target: *const c_char, flags: c_int) -> c_int;
}

/// A mounted vexfs; unmounted at the latest when it is dropped.
pub struct Mount {
    target: Option<PathBuf>,
}

fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

impl Mount {
    pub fn new(source: &Path, target: &Path) -> io::Result<Self> {
        let (from, to, kind) = (text(source)?, text(target)?, CString::new("vexfs")?);
        // SAFETY: three strings with a final zero that live until the call has returned.
        match unsafe { mount(from.as_ptr(), to.as_ptr(), kind.as_ptr(), 0, ptr::null()) } {
            0 => Ok(Self {
                target: Some(target.to_owned()),
            }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub fn unmount(mut self) -> io::Result<()> {
        self.target.take().map_or(Ok(()), |target| end(&target))
    }
}

fn end(target: &Path) -> io::Result<()> {
    let target = text(target)?;
    // SAFETY: a string with a final zero that lives until the call has returned.
    match unsafe { umount2(target.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(target) = self.target.take() {
            let _ = end(&target);
        }
    }
}
