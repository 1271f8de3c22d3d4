//! What a disk may have gone through before it is mounted: a power cut, or damage.

pub mod damage;
pub mod log;
pub mod mount;
pub mod promise;
pub mod random;
pub mod replay;
pub mod survey;
pub mod usage;
