//! What the kernel's header `kernel/uapi/vexfs.h` defines: limits, structures, request numbers.

use std::mem::size_of;

pub const MAX_DIMENSION: u32 = 1024;
pub const MAX_VECTORS: u64 = 1 << 20;
pub const MAX_INSERT: u32 = 1024;
pub const MAX_RESULTS: u32 = 1024;
pub const MAX_CELLS: u32 = 256;
pub const MAX_ITERATIONS: u32 = 100;

pub const METRIC_L2: u32 = 1;
pub const METRIC_COSINE: u32 = 2;
pub const COSINE_ONE: u64 = 1 << 20;

pub const SEARCH_EXACT: u32 = 1;
pub const SEARCH_INDEX: u32 = 2;

pub const IOC_MAGIC: u32 = 0xb7;

/// Declares a structure as C lays it out, with the offset of each field and its size; one that is
/// not where it is said to be, or that would leave a gap, does not compile.
macro_rules! structure {
    ($(#[$about:meta])* $name:ident, $size:literal {
        $($offset:literal $field:ident: $kind:ty,)*
    }) => {
        $(#[$about])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $(pub $field: $kind,)*
        }

        const _: () = {
            let mut at = 0;
            $(
                assert!(at == $offset && at % std::mem::align_of::<$kind>() == 0);
                at += size_of::<$kind>();
            )*
            assert!(at == $size && size_of::<$name>() == $size);
        };

        impl $name {
            /// Name, offset and size of each field.
            pub const FIELDS: &'static [(&'static str, usize, usize)] =
                &[$((stringify!($field), $offset, size_of::<$kind>())),*];
        }
    };
}

structure! {
    /// `struct vexfs_ioc_create`
    Create, 16 {
        0 dimension: u32,
        4 metric: u32,
        8 reserved: [u32; 2],
    }
}

structure! {
    /// `struct vexfs_ioc_info`
    Info, 32 {
        0 dimension: u32,
        4 metric: u32,
        8 cells: u32,
        12 reserved: u32,
        16 ids: u64,
        24 vectors: u64,
    }
}

structure! {
    /// `struct vexfs_ioc_insert`
    Insert, 32 {
        0 components: u64,
        8 dimension: u32,
        12 count: u32,
        16 first: u64,
        24 reserved: u64,
    }
}

structure! {
    /// `struct vexfs_ioc_fetch`
    Fetch, 24 {
        0 id: u64,
        8 components: u64,
        16 dimension: u32,
        20 reserved: u32,
    }
}

structure! {
    /// `struct vexfs_ioc_delete`
    Delete, 16 {
        0 id: u64,
        8 reserved: u64,
    }
}

structure! {
    /// `struct vexfs_result`
    SearchResult, 16 {
        0 id: u64,
        8 distance: u64,
    }
}

structure! {
    /// `struct vexfs_ioc_search`
    Search, 48 {
        0 query: u64,
        8 results: u64,
        16 dimension: u32,
        20 k: u32,
        24 method: u32,
        28 probes: u32,
        32 found: u32,
        36 reserved: u32,
        40 distances: u64,
    }
}

structure! {
    /// `struct vexfs_ioc_index`
    Index, 16 {
        0 cells: u32,
        4 iterations: u32,
        8 seed: u64,
    }
}

#[cfg(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc64"
))]
compile_error!("request numbers are built in another way on this machine");

const TO_KERNEL: u32 = 1;
const FROM_KERNEL: u32 = 2;

/// `_IOC()` of the kernel's `asm-generic/ioctl.h`.
const fn request(direction: u32, number: u32, size: usize) -> u32 {
    (direction << 30) | ((size as u32) << 16) | (IOC_MAGIC << 8) | number
}

pub const IOC_CREATE: u32 = request(TO_KERNEL, 1, size_of::<Create>());
pub const IOC_INFO: u32 = request(FROM_KERNEL, 2, size_of::<Info>());
pub const IOC_INSERT: u32 = request(TO_KERNEL | FROM_KERNEL, 3, size_of::<Insert>());
pub const IOC_FETCH: u32 = request(TO_KERNEL, 4, size_of::<Fetch>());
pub const IOC_DELETE: u32 = request(TO_KERNEL, 5, size_of::<Delete>());
pub const IOC_SEARCH: u32 = request(TO_KERNEL | FROM_KERNEL, 6, size_of::<Search>());
pub const IOC_INDEX: u32 = request(TO_KERNEL, 7, size_of::<Index>());
