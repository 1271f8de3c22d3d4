//! The commands for collections of vectors on a mounted vexfs.

pub mod create;
pub mod delete;
pub mod fetch;
pub mod index;
pub mod insert;
pub mod progress;
pub mod search;
pub mod text;

use crate::failure::Failure;

fn id(text: &str) -> Result<u64, Failure> {
    text.parse()
        .map_err(|_| Failure::usage(format!("id '{text}'; allowed: numbers from 0 on")))
}
