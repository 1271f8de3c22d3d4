//! The requests of `kernel/uapi/vexfs.h`, one function each. Errors are numbers as in errno(3).

use std::io;
use std::os::raw::{c_int, c_ulong};
use std::os::unix::io::RawFd;

use crate::abi;
use crate::errno::EINVAL;

extern "C" {
    fn ioctl(file: c_int, request: c_ulong, ...) -> c_int;
}

pub(crate) fn last_error() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(EINVAL)
}

/// # Safety
/// `argument` is the structure that belongs to `number`, and what its pointers lead to is the
/// caller's, for as many elements as its counts say.
unsafe fn request<T>(file: RawFd, number: u32, argument: &mut T) -> Result<(), i32> {
    // SAFETY: the kernel writes to the structure and through its pointers, and keeps none.
    if unsafe { ioctl(file, c_ulong::from(number), argument as *mut T) } < 0 {
        return Err(last_error());
    }
    Ok(())
}

pub(crate) fn create(file: RawFd, dimension: u32, metric: u32) -> Result<(), i32> {
    let mut argument = abi::Create {
        dimension,
        metric,
        ..Default::default()
    };
    // SAFETY: no pointers.
    unsafe { request(file, abi::IOC_CREATE, &mut argument) }
}

pub(crate) fn info(file: RawFd) -> Result<abi::Info, i32> {
    let mut argument = abi::Info::default();
    // SAFETY: no pointers.
    unsafe { request(file, abi::IOC_INFO, &mut argument) }?;
    Ok(argument)
}

/// Returns the first id.
///
/// # Safety
/// `components` may be wrong (EFAULT), but nobody else may be writing there.
pub(crate) unsafe fn insert(
    file: RawFd,
    components: *const i16,
    dimension: u32,
    count: u32,
) -> Result<u64, i32> {
    let mut argument = abi::Insert {
        components: components as usize as u64,
        dimension,
        count,
        ..Default::default()
    };
    // SAFETY: the kernel reads the components and writes to none.
    unsafe { request(file, abi::IOC_INSERT, &mut argument) }?;
    Ok(argument.first)
}

/// # Safety
/// `components` has room for `dimension` of them, or leads nowhere (EFAULT).
pub(crate) unsafe fn fetch(
    file: RawFd,
    id: u64,
    components: *mut i16,
    dimension: u32,
) -> Result<(), i32> {
    let mut argument = abi::Fetch {
        id,
        components: components as usize as u64,
        dimension,
        ..Default::default()
    };
    // SAFETY: the caller's promise.
    unsafe { request(file, abi::IOC_FETCH, &mut argument) }
}

pub(crate) fn delete(file: RawFd, id: u64) -> Result<(), i32> {
    let mut argument = abi::Delete {
        id,
        ..Default::default()
    };
    // SAFETY: no pointers.
    unsafe { request(file, abi::IOC_DELETE, &mut argument) }
}

/// An exact search when `probes` is 0. Returns how many were found and how many distances computed.
///
/// # Safety
/// `query` has `dimension` components, `results` has room for `k`; or they lead nowhere (EFAULT).
pub(crate) unsafe fn search(
    file: RawFd,
    query: *const i16,
    dimension: u32,
    probes: u32,
    results: *mut abi::SearchResult,
    k: u32,
) -> Result<(u32, u64), i32> {
    let mut argument = abi::Search {
        query: query as usize as u64,
        results: results as usize as u64,
        dimension,
        k,
        method: match probes {
            0 => abi::SEARCH_EXACT,
            _ => abi::SEARCH_INDEX,
        },
        probes,
        ..Default::default()
    };
    // SAFETY: the caller's promise.
    unsafe { request(file, abi::IOC_SEARCH, &mut argument) }?;
    Ok((argument.found, argument.distances))
}

pub(crate) fn index(file: RawFd, cells: u32, iterations: u32, seed: u64) -> Result<(), i32> {
    let mut argument = abi::Index {
        cells,
        iterations,
        seed,
    };
    // SAFETY: no pointers.
    unsafe { request(file, abi::IOC_INDEX, &mut argument) }
}
