//! What an adapter is written with.
//!
//! An adapter translates between OpenAI's API and one upstream: it turns a
//! client's request into an upstream request, and what the upstream answers
//! into typed facts, which the gateway turns into whatever its client speaks.
//! It is a pure function of its options, the exchange's state and its input; it
//! owns no socket, clock, key or file and remembers nothing between two calls.
//!
//! ```
//! use kai::{Adapter, Error, Event, Framing, Manifest, Out, Request, Response, Upstream};
//!
//! struct Echo;
//!
//! impl Adapter for Echo {
//!     type State = ();
//!
//!     const MANIFEST: Manifest<'static> = Manifest {
//!         name: "echo",
//!         version: "1.0.0",
//!         provider: "echo",
//!         ..Manifest::NEW
//!     };
//!
//!     fn request(r: &Request, _: &mut (), out: &mut Out) -> Result<(), Error> {
//!         out.send(&Upstream {
//!             path: "/echo",
//!             framing: Framing::Ndjson,
//!             body: Some(r.body.bytes()),
//!             ..Upstream::NEW
//!         });
//!         Ok(())
//!     }
//!
//!     fn response(r: &Response, _: &mut (), _: &mut Out) -> Result<(), Error> {
//!         Err(Error::upstream(format!("the upstream answered with status {}", r.status)))
//!     }
//!
//!     fn event(e: &Event, _: &mut (), out: &mut Out) -> Result<(), Error> {
//!         if let Some(text) = e.data.get("text").raw_str() {
//!             out.text_json(0, text);
//!         }
//!         if e.end {
//!             out.finish(0, "stop");
//!         }
//!         Ok(())
//!     }
//! }
//!
//! kai::adapter!(Echo);
//! # fn main() {}
//! ```
//!
//! Compiled for `wasm32-unknown-unknown` as a `cdylib` that is a module the
//! gateway runs; compiled natively it is ordinary Rust, so `cargo test` works:
//! [`run_request`], [`run_response`] and [`run_event`] give what a call emits.
//!
//! A method fails its request by returning an [`Error`]. A panic ends the call
//! and is logged with its place.

mod adapter;
mod error;
mod guest;
mod json;
mod manifest;
mod openai;
mod out;
mod reader;
mod scan;
mod state;
mod writer;

pub use adapter::{run_event, run_request, run_response, Adapter, Emission, Event, Head, Request, Response};
pub use error::Error;
#[doc(hidden)]
pub use guest::exports;
pub use guest::{log, Level};
pub use json::{Fields, Items, Json, Kind};
pub use manifest::{Auth, Manifest, Op, Routing};
pub use openai::{messages, parts, split_data_url, tool_calls, Message, Messages, Part, Parts, ToolCall, ToolCalls};
pub use out::{Framing, Out, Upstream};
pub use reader::{Depth, Reader};
pub use scan::{unquote, SyntaxError};
pub use state::{Flat, State};
pub use writer::{quote, Writer};
