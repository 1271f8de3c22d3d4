//! Collections of vectors on a mounted vexfs.
//!
//! Programs in Rust use [`Collection`] and [`Metric::distance`]. Programs in C use the functions of
//! `include/vexfs_ffi.h`, which are in the static and in the shared library of this crate. Both
//! make the requests of `kernel/uapi/vexfs.h`, which the tests compare with [`abi`].

#![deny(unsafe_op_in_unsafe_fn)]

pub mod abi;
mod c;
mod collection;
pub mod errno;
mod error;
mod metric;
mod request;

pub use collection::{Access, Collection, Found, Info, Neighbour};
pub use error::{Cause, Error, Operation};
pub use metric::Metric;
