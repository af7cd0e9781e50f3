use crate::out::{ERROR, STATE};
use crate::{Error, Json, Manifest, Op, Out, State};

/// Translates for one upstream. The type itself is empty; what must be
/// remembered from one call of an exchange to the next is its `State`.
///
/// The methods are called for any exchange in any order; an adapter keeps
/// nothing in statics.
pub trait Adapter {
    /// Is zero at the start of an exchange and kept by the gateway between calls.
    type State: State;

    /// What the module says about itself.
    const MANIFEST: Manifest<'static>;

    /// Turns the client's request into an upstream request ([`Out::send`]), or
    /// answers it without one ([`Out::text`] and so on, [`Out::finish`]).
    fn request(r: &Request, s: &mut Self::State, out: &mut Out) -> Result<(), Error>;

    /// Takes a whole answer: every status outside 2xx, and what is not a stream.
    fn response(r: &Response, s: &mut Self::State, out: &mut Out) -> Result<(), Error>;

    /// Takes one event of a streamed answer.
    fn event(e: &Event, s: &mut Self::State, out: &mut Out) -> Result<(), Error>;
}

/// What a client asks.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub op: Op,
    /// The client wants a stream; the adapter may answer either way.
    pub stream: bool,
    /// Of this model: the provider's with the model's laid over, checked, with
    /// defaults.
    pub options: Json<'a>,
    /// The client's body, valid JSON; `model` is the upstream's name.
    pub body: Json<'a>,
}

/// A whole answer of the upstream.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub op: Op,
    /// HTTP status.
    pub status: u16,
    /// The response headers the gateway lets through.
    pub head: Head<'a>,
    /// As it came: perhaps not JSON, perhaps empty.
    pub body: &'a [u8],
}

/// One frame of a streamed answer.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub op: Op,
    /// The event's name in SSE, else empty.
    pub name: &'a [u8],
    /// One line of NDJSON, the data of an SSE event: as it came.
    pub data: Json<'a>,
    /// The upstream ended cleanly; there is no data.
    pub end: bool,
    /// The upstream said `[DONE]`; there is no data.
    pub done: bool,
}

/// The header lines of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a>(&'a [u8]);

impl<'a> Head<'a> {
    /// Takes lines of the form `lower-case-name: value\n`.
    pub fn new(lines: &'a [u8]) -> Head<'a> {
        Head(lines)
    }

    /// The value of the first line called `name` (in lower case).
    pub fn get(self, name: &str) -> Option<&'a str> {
        for line in self.0.split(|&c| c == b'\n') {
            let line = std::str::from_utf8(line).ok()?;
            if let Some((n, value)) = line.split_once(':') {
                if n == name {
                    return Some(value.trim());
                }
            }
        }
        None
    }
}

/// What was emitted in a native call, with the ABI's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    pub kind: i32,
    pub at: i32,
    pub data: Vec<u8>,
}

/// Runs `A`'s [`Adapter::request`] on the state that an exchange has and gives
/// what a test looks at: all that was emitted, in order. In a module it is empty.
pub fn run_request<A: Adapter>(r: &Request, state: &[u8]) -> Vec<Emission> {
    run::<A>(state, |s, out| A::request(r, s, out)).1.sink.emissions()
}

/// Is [`run_request`] for [`Adapter::response`].
pub fn run_response<A: Adapter>(r: &Response, state: &[u8]) -> Vec<Emission> {
    run::<A>(state, |s, out| A::response(r, s, out)).1.sink.emissions()
}

/// Is [`run_request`] for [`Adapter::event`].
pub fn run_event<A: Adapter>(e: &Event, state: &[u8]) -> Vec<Emission> {
    run::<A>(state, |s, out| A::event(e, s, out)).1.sink.emissions()
}

/// Runs one method and emits what the exchange needs afterwards: the state if it
/// changed, and the error. Gives whether the method failed.
pub(crate) fn run<A: Adapter>(
    before: &[u8],
    method: impl FnOnce(&mut A::State, &mut Out) -> Result<(), Error>,
) -> (bool, Out) {
    let mut state = A::State::load(before);
    let mut out = Out::default();
    let result = method(&mut state, &mut out);
    let mut after = Vec::new();
    state.save(&mut after);
    let still_zero = before.is_empty() && after.iter().all(|&b| b == 0);
    if after != before && !still_zero {
        out.emit(STATE, 0, &after);
    }
    match result {
        Ok(()) => (false, out),
        Err(e) => {
            out.emit(ERROR, 0, &e.json());
            (true, out)
        }
    }
}
