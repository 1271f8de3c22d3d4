//! Structures with a fixed layout, read from bytes and written to bytes without unsafe code.

/// A field of fixed size, little-endian.
pub trait Field: Copy {
    const SIZE: usize;
    /// `bytes` has exactly `SIZE` bytes, here and in `put`.
    fn get(bytes: &[u8]) -> Self;
    fn put(&self, bytes: &mut [u8]);
}

macro_rules! number {
    ($($number:ty),*) => { $(
        impl Field for $number {
            const SIZE: usize = std::mem::size_of::<$number>();
            fn get(bytes: &[u8]) -> Self {
                let mut own = [0; std::mem::size_of::<$number>()];
                own.copy_from_slice(bytes);
                <$number>::from_le_bytes(own)
            }
            fn put(&self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }
        }
    )* };
}

number!(u8, u16, u32, u64, i64);

impl<T: Field + Default, const N: usize> Field for [T; N] {
    const SIZE: usize = N * T::SIZE;
    fn get(bytes: &[u8]) -> Self {
        let mut own = [T::default(); N];
        for (item, part) in own.iter_mut().zip(bytes.chunks(T::SIZE)) {
            *item = T::get(part);
        }
        own
    }
    fn put(&self, bytes: &mut [u8]) {
        for (item, part) in self.iter().zip(bytes.chunks_mut(T::SIZE)) {
            item.put(part);
        }
    }
}

/// Declares a structure with the offset of each field and its size; a field that is not where it
/// is said to be does not compile.
#[macro_export]
macro_rules! layout {
    ($(#[$about:meta])* $name:ident, $size:literal {
        $($(#[$comment:meta])* $offset:literal $field:ident: $kind:ty,)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$comment])* pub $field: $kind,)*
        }

        const _: () = {
            let mut at = 0;
            $(
                assert!(at == $offset);
                at += <$kind as $crate::layout::Field>::SIZE;
            )*
            assert!(at == $size);
        };

        impl $name {
            /// Bytes on the disk.
            pub const SIZE: usize = $size;
            /// Name and offset of each field.
            pub const FIELDS: &'static [(&'static str, usize)] =
                &[$((stringify!($field), $offset)),*];

            /// Reads the first `SIZE` bytes; panics when there are fewer.
            pub fn from_bytes(bytes: &[u8]) -> Self {
                Self {
                    $($field: {
                        let size = <$kind as $crate::layout::Field>::SIZE;
                        <$kind as $crate::layout::Field>::get(&bytes[$offset..$offset + size])
                    },)*
                }
            }

            pub fn to_bytes(&self) -> [u8; $size] {
                let mut bytes = [0; $size];
                $(
                    let size = <$kind as $crate::layout::Field>::SIZE;
                    $crate::layout::Field::put(&self.$field, &mut bytes[$offset..$offset + size]);
                )*
                bytes
            }
        }
    };
}
