//! Functions of libvexfs_ffi's C interface. They pass any number on to the kernel, where those for
//! Rust refuse it before; and they take files that may be damaged.

use std::os::raw::c_int;
use std::os::unix::io::AsRawFd;

use vexfs_ffi::abi::SearchResult;

extern "C" {
    fn vexfs_insert(
        file: c_int,
        from: *const i16,
        dimension: u32,
        count: u32,
        first: *mut u64,
    ) -> c_int;
    fn vexfs_fetch(file: c_int, id: u64, to: *mut i16, dimension: u32) -> c_int;
    fn vexfs_delete(file: c_int, id: u64) -> c_int;
    fn vexfs_search(
        file: c_int,
        query: *const i16,
        dimension: u32,
        probes: u32,
        results: *mut SearchResult,
        k: u32,
        distances: *mut u64,
    ) -> c_int;
    fn vexfs_index(file: c_int, cells: u32, iterations: u32, seed: u64) -> c_int;
}

fn answer<T>(status: c_int, value: T) -> Result<T, i32> {
    if status < 0 {
        return Err(-status);
    }
    Ok(value)
}

/// Of a single vector.
pub fn insert(file: &impl AsRawFd, vector: &[i16]) -> Result<u64, i32> {
    let mut first = 0;
    let dimension = vector.len() as u32;
    // SAFETY: as many components as said, and room for the id.
    let status =
        unsafe { vexfs_insert(file.as_raw_fd(), vector.as_ptr(), dimension, 1, &mut first) };
    answer(status, first)
}

pub fn fetch(file: &impl AsRawFd, id: u64, dimension: usize) -> Result<Vec<i16>, i32> {
    let mut components = vec![0; dimension];
    // SAFETY: there is room for the components.
    let status = unsafe {
        vexfs_fetch(
            file.as_raw_fd(),
            id,
            components.as_mut_ptr(),
            dimension as u32,
        )
    };
    answer(status, components)
}

pub fn delete(file: &impl AsRawFd, id: u64) -> Result<(), i32> {
    // SAFETY: no pointers.
    answer(unsafe { vexfs_delete(file.as_raw_fd(), id) }, ())
}

/// Ids and distances; an exact search when `probes` is 0.
pub fn search(
    file: &impl AsRawFd,
    query: &[i16],
    k: usize,
    probes: u32,
) -> Result<Vec<(u64, u64)>, i32> {
    let mut results = vec![SearchResult::default(); k];
    let mut distances = 0;
    // SAFETY: the query is as long as said, and there is room for k results and the count.
    let found = unsafe {
        vexfs_search(
            file.as_raw_fd(),
            query.as_ptr(),
            query.len() as u32,
            probes,
            results.as_mut_ptr(),
            k as u32,
            &mut distances,
        )
    };
    let found = answer(found, found as usize)?;
    let pairs = results.iter().take(found);
    Ok(pairs.map(|one| (one.id, one.distance)).collect())
}

pub fn index(file: &impl AsRawFd, cells: u32, iterations: u32) -> Result<(), i32> {
    // SAFETY: no pointers.
    answer(
        unsafe { vexfs_index(file.as_raw_fd(), cells, iterations, 1) },
        (),
    )
}
