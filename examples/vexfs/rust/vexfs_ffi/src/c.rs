//! The C ABI: the functions of `include/vexfs_ffi.h`, which says what each does.
//!
//! Each returns a negative errno(3) when it fails. A panic does not leave a function: it becomes
//! -ENOTRECOVERABLE, since unwinding into C is undefined.

use std::ffi::{CStr, OsStr};
use std::os::raw::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::IntoRawFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::slice;

use crate::abi::{self, MAX_DIMENSION};
use crate::collection::{create_file, info, open_file, Access};
use crate::errno::{self, EFAULT, EINVAL, ENOTRECOVERABLE};
use crate::metric::Metric;
use crate::request;

extern "C" {
    fn close(file: c_int) -> c_int;
    fn strerror(errno: c_int) -> *const c_char;
}

/// `O_RDONLY` and `O_RDWR` of fcntl.h, the same on every machine.
const O_RDONLY: c_int = 0;
const O_RDWR: c_int = 2;

fn status(body: impl FnOnce() -> Result<c_int, c_int>) -> c_int {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(errno)) => -errno,
        Err(_) => -ENOTRECOVERABLE,
    }
}

/// # Safety
/// A pointer that is not null leads to a string with a zero at its end.
unsafe fn path<'a>(text: *const c_char) -> Result<&'a Path, c_int> {
    if text.is_null() {
        return Err(EFAULT);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    Ok(Path::new(OsStr::from_bytes(text.to_bytes())))
}

/// # Safety
/// A pointer that is not null leads to `dimension` components.
unsafe fn components<'a>(first: *const i16, dimension: u32) -> Result<&'a [i16], c_int> {
    if first.is_null() {
        return Err(EFAULT);
    }
    if !(1..=MAX_DIMENSION).contains(&dimension) || first as usize % 2 != 0 {
        return Err(EINVAL);
    }
    // SAFETY: the caller's promise, and the start is aligned.
    Ok(unsafe { slice::from_raw_parts(first, dimension as usize) })
}

/// # Safety
/// A pointer that is not null leads to room for a value, aligned or not.
unsafe fn put<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: the caller's promise.
        unsafe { place.write_unaligned(value) }
    }
}

fn required<T>(pointer: *const T) -> Result<(), c_int> {
    if pointer.is_null() {
        return Err(EFAULT);
    }
    Ok(())
}

/// # Safety
/// As the header says, like that of all functions here.
#[no_mangle]
pub unsafe extern "C" fn vexfs_create(name: *const c_char, dimension: u32, metric: u32) -> c_int {
    status(|| {
        // SAFETY: the caller's promise.
        let path = unsafe { path(name) }?;
        Ok(create_file(path, dimension, metric)?.into_raw_fd())
    })
}

/// # Safety
/// As the header says.
#[no_mangle]
pub unsafe extern "C" fn vexfs_open(name: *const c_char, mode: c_int) -> c_int {
    status(|| {
        // SAFETY: the caller's promise.
        let path = unsafe { path(name) }?;
        let access = match mode {
            O_RDONLY => Access::Read,
            O_RDWR => Access::ReadWrite,
            _ => return Err(EINVAL),
        };
        let file = open_file(path, access)?;
        info(&file)?;
        Ok(file.into_raw_fd())
    })
}

#[no_mangle]
pub extern "C" fn vexfs_close(file: c_int) -> c_int {
    status(|| {
        // SAFETY: takes any number; by calling this the caller gives the file up.
        if unsafe { close(file) } < 0 {
            return Err(request::last_error());
        }
        Ok(0)
    })
}

/// # Safety
/// As the header says.
#[no_mangle]
pub unsafe extern "C" fn vexfs_info(file: c_int, result: *mut abi::Info) -> c_int {
    status(|| {
        required(result)?;
        let info = request::info(file)?;
        // SAFETY: the caller's promise.
        unsafe { put(result, info) };
        Ok(0)
    })
}

/// # Safety
/// As the header says.
#[no_mangle]
pub unsafe extern "C" fn vexfs_insert(
    file: c_int,
    components: *const i16,
    dimension: u32,
    count: u32,
    first: *mut u64,
) -> c_int {
    status(|| {
        required(components)?;
        // SAFETY: the caller's promise.
        unsafe {
            let id = request::insert(file, components, dimension, count)?;
            put(first, id);
        }
        Ok(0)
    })
}

/// # Safety
/// As the header says.
#[no_mangle]
pub unsafe extern "C" fn vexfs_fetch(
    file: c_int,
    id: u64,
    components: *mut i16,
    dimension: u32,
) -> c_int {
    status(|| {
        required(components)?;
        // SAFETY: the caller's promise.
        unsafe { request::fetch(file, id, components, dimension) }?;
        Ok(0)
    })
}

#[no_mangle]
pub extern "C" fn vexfs_delete(file: c_int, id: u64) -> c_int {
    status(|| request::delete(file, id).map(|()| 0))
}

/// # Safety
/// As the header says.
#[no_mangle]
pub unsafe extern "C" fn vexfs_search(
    file: c_int,
    query: *const i16,
    dimension: u32,
    probes: u32,
    results: *mut abi::SearchResult,
    k: u32,
    distances: *mut u64,
) -> c_int {
    status(|| {
        required(query)?;
        required(results)?;
        // SAFETY: the caller's promise.
        unsafe {
            let (found, computed) = request::search(file, query, dimension, probes, results, k)?;
            put(distances, computed);
            Ok(found as c_int)
        }
    })
}

#[no_mangle]
pub extern "C" fn vexfs_index(file: c_int, cells: u32, iterations: u32, seed: u64) -> c_int {
    status(|| request::index(file, cells, iterations, seed).map(|()| 0))
}

/// # Safety
/// As the header says.
#[no_mangle]
pub unsafe extern "C" fn vexfs_distance(
    metric: u32,
    a: *const i16,
    b: *const i16,
    dimension: u32,
    distance: *mut u64,
) -> c_int {
    status(|| {
        required(distance)?;
        let metric = Metric::from_number(metric).ok_or(EINVAL)?;
        // SAFETY: the caller's promise.
        unsafe {
            let a = components(a, dimension)?;
            let b = components(b, dimension)?;
            put(distance, metric.distance(a, b).ok_or(EINVAL)?);
        }
        Ok(0)
    })
}

#[no_mangle]
pub extern "C" fn vexfs_strerror(error: c_int) -> *const c_char {
    let errno = error.checked_abs().unwrap_or(0);
    match errno::meaning(errno) {
        Some(text) => text.as_ptr().cast(),
        // SAFETY: takes any number.
        None => unsafe { strerror(errno) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_becomes_an_error() {
        assert_eq!(status(|| panic!("on purpose")), -ENOTRECOVERABLE);
        assert_eq!(status(|| Err(EINVAL)), -EINVAL);
        assert_eq!(status(|| Ok(3)), 3);
    }

    #[test]
    fn every_meaning_ends_as_c_wants() {
        for number in 0..200 {
            if let Some(text) = errno::meaning(number) {
                assert_eq!(text.find('\0'), Some(text.len() - 1), "{text}");
            }
        }
    }
}
