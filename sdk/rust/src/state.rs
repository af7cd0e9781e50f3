/// What an adapter remembers from one call of an exchange to the next. The
/// gateway keeps it as at most 4 KiB; [`state!`](crate::state) makes one.
///
/// `Vec<u8>` is a state for an adapter that lays out its own, `()` for one that
/// needs none.
pub trait State: Default {
    /// Reads what `save` wrote; of no bytes the value at the start of an
    /// exchange.
    fn load(bytes: &[u8]) -> Self;
    /// Appends the value.
    fn save(&self, bytes: &mut Vec<u8>);
}

impl State for () {
    fn load(_: &[u8]) {}
    fn save(&self, _: &mut Vec<u8>) {}
}

impl State for Vec<u8> {
    fn load(bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
    fn save(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }
}

/// Makes a struct that is a [`State`]. Its fields are numbers, bools and arrays
/// of them, and zero at the start of an exchange.
///
/// ```
/// kai::state! {
///     /// What one call of an exchange leaves for the next.
///     pub struct State {
///         calls: u32, // tool calls so far
///         ended: bool,
///     }
/// }
/// # fn main() { assert_eq!(State::default().calls, 0); }
/// ```
#[macro_export]
macro_rules! state {
    ($(#[$of:meta])* $v:vis struct $name:ident { $($(#[$on:meta])* $fv:vis $field:ident : $type:ty),* $(,)? }) => {
        $(#[$of])*
        #[derive(Clone, Debug, Default, PartialEq)]
        $v struct $name { $($(#[$on])* $fv $field: $type),* }

        impl $crate::State for $name {
            fn load(mut bytes: &[u8]) -> Self {
                let bytes = &mut bytes;
                $name { $($field: <$type as $crate::Flat>::take(bytes)),* }
            }
            fn save(&self, bytes: &mut ::std::vec::Vec<u8>) {
                $(<$type as $crate::Flat>::put(&self.$field, bytes);)*
            }
        }
    };
}

/// A value that can be a field of a [`state!`](crate::state).
pub trait Flat {
    #[doc(hidden)]
    fn take(bytes: &mut &[u8]) -> Self;
    #[doc(hidden)]
    fn put(&self, bytes: &mut Vec<u8>);
}

macro_rules! flat_numbers {
    ($($type:ty)*) => {$(
        impl Flat for $type {
            fn take(bytes: &mut &[u8]) -> $type {
                let mut b = [0; std::mem::size_of::<$type>()];
                let n = b.len().min(bytes.len());
                let (own, rest) = bytes.split_at(n);
                b[..n].copy_from_slice(own);
                *bytes = rest;
                <$type>::from_le_bytes(b)
            }
            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

flat_numbers!(u8 u16 u32 u64 i8 i16 i32 i64 f32 f64);

impl Flat for bool {
    fn take(bytes: &mut &[u8]) -> bool {
        u8::take(bytes) != 0
    }
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(*self));
    }
}

impl<T: Flat + Copy + Default, const N: usize> Flat for [T; N] {
    fn take(bytes: &mut &[u8]) -> [T; N] {
        let mut all = [T::default(); N];
        for one in &mut all {
            *one = T::take(bytes);
        }
        all
    }
    fn put(&self, bytes: &mut Vec<u8>) {
        for one in self {
            one.put(bytes);
        }
    }
}
