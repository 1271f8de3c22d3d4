//! Numbers of errors (errno(3); as on most machines) and what they mean for a collection.

pub const ENOENT: i32 = 2;
pub const EBADF: i32 = 9;
pub const EFAULT: i32 = 14;
pub const EEXIST: i32 = 17;
pub const EINVAL: i32 = 22;
pub const ENOTTY: i32 = 25;
pub const EFBIG: i32 = 27;
pub const ENOTEMPTY: i32 = 39;
pub const ENODATA: i32 = 61;
pub const EUCLEAN: i32 = 117;
pub const ENOTRECOVERABLE: i32 = 131;

/// What an error says of a collection; a C string. `None`: no more than it says everywhere.
pub(crate) fn meaning(errno: i32) -> Option<&'static str> {
    let text = match errno {
        ENOENT => "no such vector, or no such file\0",
        EBADF => "not open, or not open for writing\0",
        EFAULT => "a null pointer, or one that leads nowhere\0",
        EEXIST => "it is a collection already\0",
        EINVAL => "a number out of its range, or another dimension than the collection's\0",
        ENOTTY => "no collection of vectors, or no regular file of a vexfs\0",
        EFBIG => "the collection has given all its ids\0",
        ENOTEMPTY => "the file is not empty\0",
        ENODATA => "there is no index, or fewer vectors than cells\0",
        EUCLEAN => "damaged on the disk: unmount it and run vexctl check\0",
        ENOTRECOVERABLE => "a mistake in libvexfs_ffi\0",
        _ => return None,
    };
    Some(text)
}
