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

/// A mounted vexfs; unmounted when it is dropped.
pub struct Mount {
    target: PathBuf,
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path without zeros")
}

impl Mount {
    pub fn new(source: &Path, target: &Path) -> Self {
        let (from, to, kind) = (text(source), text(target), text(Path::new("vexfs")));
        // SAFETY: three strings with a final zero that live until the call has returned.
        let status = unsafe { mount(from.as_ptr(), to.as_ptr(), kind.as_ptr(), 0, ptr::null()) };
        assert_eq!(status, 0, "mount: {}", io::Error::last_os_error());
        Self {
            target: target.to_owned(),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let target = text(&self.target);
        // SAFETY: a string with a final zero that lives until the call has returned.
        let status = unsafe { umount2(target.as_ptr(), 0) };
        // What a failed assertion leaves open keeps it busy; the suite unmounts it then.
        if !std::thread::panicking() {
            assert_eq!(status, 0, "umount: {}", io::Error::last_os_error());
        }
    }
}
