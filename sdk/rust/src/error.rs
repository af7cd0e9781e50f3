use crate::scan::SyntaxError;
use crate::writer::{push_int, quote};

/// A failure as a client of the gateway sees it: OpenAI's four fields and the
/// HTTP status.
///
/// The zero values mean: status 502, the type that belongs to the status, code
/// and param null. The message is shown to clients, so it never holds an
/// address, a key or anything of other requests.
///
/// Errors of syntax and strings become the adapter's own: status 502, code
/// `adapter_error`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Error {
    /// An HTTP status from 400 to 599.
    pub status: u16,
    /// For example `invalid_request_error`.
    pub kind: String,
    /// For example `model_not_found`.
    pub code: String,
    /// The request's field at fault.
    pub param: String,
    pub message: String,
    /// What the message says in the adapter's own words, with nothing of the upstream's, for
    /// the gateway's log; empty: the log only says that the provider reported an error.
    pub own: String,
    /// Milliseconds until a repeat may succeed; 0: unknown.
    pub retry_after_ms: u32,
    /// A repeat of the same request can't succeed, whatever the status says.
    pub no_retry: bool,
}

impl Error {
    /// An error with a status and a message; the other fields can be set on it.
    pub fn new(status: u16, message: impl Into<String>) -> Error {
        Error { status, message: message.into(), ..Error::default() }
    }

    /// The client asks for what cannot be done: status 400.
    pub fn refused(param: impl Into<String>, message: impl Into<String>) -> Error {
        Error { param: param.into(), ..Error::new(400, message) }
    }

    /// The upstream failed: status 502, code `upstream_error`.
    pub fn upstream(message: impl Into<String>) -> Error {
        Error { code: "upstream_error".into(), ..Error::new(502, message) }
    }

    pub(crate) fn json(&self) -> Vec<u8> {
        let mut b = b"{\"status\":".to_vec();
        push_int(&mut b, self.status.into());
        for (key, value) in [("type", &self.kind), ("code", &self.code), ("param", &self.param)] {
            if !value.is_empty() {
                b.push(b',');
                quote(&mut b, key);
                b.push(b':');
                quote(&mut b, value);
            }
        }
        b.extend_from_slice(b",\"message\":");
        quote(&mut b, &self.message);
        if !self.own.is_empty() {
            b.extend_from_slice(b",\"own\":");
            quote(&mut b, &self.own);
        }
        if self.retry_after_ms > 0 {
            b.extend_from_slice(b",\"retry_after_ms\":");
            push_int(&mut b, self.retry_after_ms.into());
        }
        if self.no_retry {
            b.extend_from_slice(b",\"no_retry\":true");
        }
        b.push(b'}');
        b
    }
}

impl From<String> for Error {
    fn from(message: String) -> Error {
        Error { kind: "server_error".into(), code: "adapter_error".into(), ..Error::new(502, message) }
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Error {
        Error::from(message.to_string())
    }
}

impl From<SyntaxError> for Error {
    fn from(e: SyntaxError) -> Error {
        Error::from(e.to_string())
    }
}
