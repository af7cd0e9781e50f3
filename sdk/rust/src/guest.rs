//! The boundary: what a module imports and exports, and what stands in for it in
//! native builds.

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug = -4,
    Info = 0,
    Warn = 4,
    Error = 8,
}

/// Writes a line to the gateway's log, under the adapter's name. The gateway
/// drops what is below the provider's log setting (default: warn) and more than
/// 20 lines a second. Never log prompts. Natively it does nothing.
pub fn log(level: Level, text: &str) {
    #[cfg(target_arch = "wasm32")]
    // SAFETY: the host only reads the text, during the call.
    unsafe {
        imports::log(level as i32, text.as_ptr(), text.len())
    }
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (level, text);
}

/// Where emissions go: to the host, or natively into a list.
#[derive(Default)]
pub struct Sink {
    #[cfg(not(target_arch = "wasm32"))]
    list: Vec<crate::Emission>,
}

#[cfg(target_arch = "wasm32")]
impl Sink {
    pub(crate) fn emit(&mut self, kind: i32, at: i32, payload: &[u8]) {
        table::get().emit(kind, at, payload);
    }

    pub(crate) fn emissions(self) -> Vec<crate::Emission> {
        Vec::new()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Sink {
    pub(crate) fn emit(&mut self, kind: i32, at: i32, payload: &[u8]) {
        self.list.push(crate::Emission { kind, at, data: payload.to_vec() });
    }

    pub(crate) fn emissions(self) -> Vec<crate::Emission> {
        self.list
    }
}

#[cfg(target_arch = "wasm32")]
mod imports {
    #[link(wasm_import_module = "kai_v1")]
    extern "C" {
        pub fn emit(kind: i32, at: i32, ptr: *const u8, len: usize) -> i32;
        pub fn emit_all(records: *const u8, n: usize) -> i32;
        pub fn log(level: i32, ptr: *const u8, len: usize);
    }
}

/// Collects the emissions of a call, so that one call of the gateway takes them all:
/// crossing the boundary costs more than most emissions do.
#[cfg(target_arch = "wasm32")]
mod table {
    use super::{exports, imports};
    use std::cell::UnsafeCell;

    const RECORDS: usize = 128;
    const COPIES: usize = 4096;

    /// An emission in the form that emit_all takes.
    #[derive(Clone, Copy)]
    #[repr(C)]
    struct Record {
        kind: i32,
        at: i32,
        ptr: *const u8,
        len: usize,
    }

    pub struct Table {
        records: [Record; RECORDS],
        n: usize,
        /// Payloads that the adapter may overwrite. They never move, since records
        /// have their addresses.
        copies: [u8; COPIES],
        used: usize,
    }

    struct Only(UnsafeCell<Table>);

    // SAFETY: a module has one thread.
    unsafe impl Sync for Only {}

    static TABLE: Only = Only(UnsafeCell::new(Table {
        records: [Record { kind: 0, at: 0, ptr: std::ptr::null(), len: 0 }; RECORDS],
        n: 0,
        copies: [0; COPIES],
        used: 0,
    }));

    /// The table, of which there is one, since an instance runs one call at a time.
    pub fn get() -> &'static mut Table {
        // SAFETY: nobody keeps the reference for longer than one call of a method, and
        // these call nothing that asks for it.
        unsafe { &mut *TABLE.0.get() }
    }

    impl Table {
        /// States a fact. The payload is copied, unless it is a part of the call's input,
        /// which stays as it is until the call returns.
        pub fn emit(&mut self, kind: i32, at: i32, payload: &[u8]) {
            let (mut ptr, len) = (payload.as_ptr(), payload.len());
            let copied = len > 0 && !exports::holds(ptr);
            if copied && len > COPIES {
                self.flush();
                // SAFETY: the host only reads the payload, during the call.
                unsafe { imports::emit(kind, at, ptr, len) };
                return;
            }
            if self.n == RECORDS || copied && len > COPIES - self.used {
                self.flush();
            }
            if copied {
                let kept = &mut self.copies[self.used..self.used + len];
                kept.copy_from_slice(payload);
                ptr = kept.as_ptr();
                self.used += len;
            }
            self.records[self.n] = Record { kind, at, ptr, len };
            self.n += 1;
        }

        /// Gives the gateway what was collected. What it refuses fails the call, whatever
        /// the adapter does then.
        pub fn flush(&mut self) {
            if self.n > 0 {
                // SAFETY: the host only reads the records and the payloads, during the call.
                unsafe { imports::emit_all(self.records.as_ptr().cast(), self.n) };
            }
            (self.n, self.used) = (0, 0);
        }
    }
}

/// Makes `$adapter` the adapter of this module: it defines the functions that the
/// gateway calls. Once in a crate.
#[macro_export]
macro_rules! adapter {
    ($adapter:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::exports;

            #[no_mangle]
            pub extern "C" fn kai_abi_v1() -> i32 {
                exports::handshake()
            }
            #[no_mangle]
            pub extern "C" fn kai_manifest() -> i32 {
                exports::manifest::<$adapter>()
            }
            #[no_mangle]
            pub extern "C" fn kai_buffer(min: usize) -> *mut u8 {
                exports::buffer(min)
            }
            #[no_mangle]
            pub extern "C" fn kai_configure(_options: usize) -> i32 {
                0 // what a call needs of the options comes with its request
            }
            #[no_mangle]
            pub extern "C" fn kai_request(op: i32, flags: i32, options: usize, body: usize) -> i32 {
                exports::request::<$adapter>(op, flags, options, body)
            }
            #[no_mangle]
            pub extern "C" fn kai_response(op: i32, status: i32, state: usize, head: usize, body: usize) -> i32 {
                exports::response::<$adapter>(op, status, state, head, body)
            }
            #[no_mangle]
            pub extern "C" fn kai_event(op: i32, flags: i32, state: usize, name: usize, data: usize) -> i32 {
                exports::event::<$adapter>(op, flags, state, name, data)
            }
            #[no_mangle]
            pub extern "C" fn kai_events(op: i32, state: usize, frames: usize) -> i32 {
                exports::events::<$adapter>(op, state, frames)
            }
        };
    };
}

/// What [`adapter!`](crate::adapter) exports.
#[doc(hidden)]
pub mod exports {
    use crate::adapter::run;
    use crate::out::{MANIFEST, NEXT};
    use crate::{log, Adapter, Event, Head, Json, Level, Op, Out, Request, Response};
    use std::cell::UnsafeCell;

    /// The call's input. Of u64, since it must begin at a multiple of 8.
    struct Buffer(UnsafeCell<Vec<u64>>);

    // SAFETY: a module has one thread.
    unsafe impl Sync for Buffer {}

    static BUFFER: Buffer = Buffer(UnsafeCell::new(Vec::new()));

    pub fn buffer(min: usize) -> *mut u8 {
        // SAFETY: the host calls this between two calls, when no slice of the
        // buffer is alive.
        let buffer = unsafe { &mut *BUFFER.0.get() };
        let words = (min + 7) / 8;
        if words > buffer.len() {
            *buffer = Vec::new(); // so that the old one is free first
            *buffer = vec![0; words];
        }
        buffer.as_mut_ptr().cast()
    }

    /// Whether an address is in the call's input.
    #[cfg(target_arch = "wasm32")]
    pub(super) fn holds(ptr: *const u8) -> bool {
        // SAFETY: it is only looked at.
        let buffer = unsafe { &*BUFFER.0.get() };
        (ptr as usize).wrapping_sub(buffer.as_ptr() as usize) < buffer.len() * 8
    }

    /// Ends a call: the gateway gets what it stated.
    fn done(status: i32) -> i32 {
        #[cfg(target_arch = "wasm32")]
        super::table::get().flush();
        status
    }

    /// Gives the sections of a call, whose lengths the host gave with it.
    fn sections<const N: usize>(lengths: [usize; N]) -> [&'static [u8]; N] {
        // SAFETY: the host laid so many bytes into the buffer, which nobody writes
        // to until the call is over, and no slice outlives the call.
        let buffer = unsafe {
            let words = &*BUFFER.0.get();
            std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), words.len() * 8)
        };
        let mut at = 0;
        lengths.map(|n| {
            let section = &buffer[at..at + n];
            at += (n + 7) & !7;
            section
        })
    }

    /// The minor version of ABI v1 that this crate is written for.
    const MINOR: i32 = 6;

    pub fn handshake() -> i32 {
        std::panic::set_hook(Box::new(|info| log(Level::Error, &info.to_string())));
        MINOR
    }

    pub fn manifest<A: Adapter>() -> i32 {
        Out::default().emit(MANIFEST, 0, &A::MANIFEST.json());
        done(0)
    }

    pub fn request<A: Adapter>(op: i32, flags: i32, options: usize, body: usize) -> i32 {
        let [options, body] = sections([options, body]);
        let r = Request { op: Op::of(op), stream: flags & 1 != 0, options: Json::new(options), body: Json::new(body) };
        done(run::<A>(&[], |s, out| A::request(&r, s, out)).0.into())
    }

    pub fn response<A: Adapter>(op: i32, status: i32, state: usize, head: usize, body: usize) -> i32 {
        let [state, head, body] = sections([state, head, body]);
        let r = Response { op: Op::of(op), status: status as u16, head: Head::new(head), body };
        done(run::<A>(state, |s, out| A::response(&r, s, out)).0.into())
    }

    pub fn event<A: Adapter>(op: i32, flags: i32, state: usize, name: usize, data: usize) -> i32 {
        let [state, name, data] = sections([state, name, data]);
        let e = Event { op: Op::of(op), name, data: Json::new(data), end: flags & 1 != 0, done: flags & 2 != 0 };
        done(run::<A>(state, |s, out| A::event(&e, s, out)).0.into())
    }

    pub fn events<A: Adapter>(op: i32, state: usize, frames: usize) -> i32 {
        let [state, mut frames] = sections([state, frames]);
        let each = |s: &mut A::State, out: &mut Out| loop {
            let (length, rest) = frames.split_at(4);
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
            let (data, rest) = rest.split_at(length);
            frames = rest;
            A::event(&Event { op: Op::of(op), name: &[], data: Json::new(data), end: false, done: false }, s, out)?;
            if frames.is_empty() {
                return Ok(());
            }
            out.emit(NEXT, 0, &[]);
        };
        done(run::<A>(state, each).0.into())
    }
}
