//! The format of vexfs on disk: the same as `kernel/format.h`, which the tests of this crate read
//! and compare. `docs/format.md` explains it.

pub mod bitmap;
pub mod checksum;
pub mod collection;
pub mod directory;
pub mod geometry;
pub mod layout;
pub mod structures;

pub use checksum::{checksum, data_checksum};
pub use geometry::Geometry;
pub use structures::*;
