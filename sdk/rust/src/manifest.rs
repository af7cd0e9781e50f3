use crate::Writer;

/// What a module is. docs/abi.md has its JSON form.
#[derive(Clone, Copy, Debug)]
pub struct Manifest<'a> {
    /// The adapter's name, for people.
    pub name: &'a str,
    /// For example `1.2.0`.
    pub version: &'a str,
    /// An SPDX expression.
    pub license: &'a str,
    /// Where its documentation is.
    pub homepage: &'a str,
    /// The upstream it speaks to.
    pub provider: &'a str,
    /// What it serves; chat unless said otherwise.
    pub ops: &'a [Op],
    /// What it serves only where the option of that name is set: a server that can do it
    /// can't be told from one that can't.
    pub optional_ops: &'a [(Op, &'a str)],
    /// How many inputs a request for an operation may have at most; the gateway cuts those
    /// with more. Since minor version 3.
    pub max_inputs: &'a [(Op, u32)],
    /// For example `tools`, `vision`, `reasoning`: for people.
    pub capabilities: &'a [&'a str],
    /// A hint for whoever configures it.
    pub default_base_url: &'a str,
    /// What somebody has to do before a model answers; `{model}` is the upstream's name.
    pub setup: &'a str,
    /// Where the gateway puts the provider's secret; none: it has none.
    pub auth: Option<Auth<'a>>,
    /// CUE for the options of the provider and of a model; empty allows none.
    pub options: &'a str,
    /// The adapter wants to see long content instead of references to it.
    pub plain_content: bool,
    /// For an adapter without upstream: its options get a member `models`.
    pub knows_models: bool,
    /// How a request could ask the upstream for another model.
    pub routing: Routing<'a>,
    /// What it takes beyond chat completions (docs/abi.md): `cache_control`.
    pub extensions: &'a [&'a str],
}

/// By what a client's request that the adapter passes on would choose the model,
/// the provider or the account that serves it. The gateway refuses these unless the
/// client's key may choose.
#[derive(Clone, Copy, Debug)]
pub struct Routing<'a> {
    /// At the request's top, none of OpenAI's own: `models`.
    pub fields: &'a [&'a str],
    /// How the type of a tool begins: `openrouter:`.
    pub tools: &'a [&'a str],
}

/// Where the gateway puts a provider's secret. The adapter sees neither.
#[derive(Clone, Copy, Debug)]
pub struct Auth<'a> {
    /// The configuration's name for it: `api_key`.
    pub secret: &'a str,
    /// In lower case: `authorization`.
    pub header: &'a str,
    /// With one `{}` for the secret: `Bearer {}`.
    pub format: &'a str,
}

/// The operation a call serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Chat = 1,
    Completions = 2,
    Embeddings = 3,
    Models = 4,
    /// How many tokens a chat request has. Since minor version 2.
    Count = 5,
    /// Since minor version 4.
    Moderations = 6,
    /// Since minor version 4.
    Rerank = 7,
    /// Since minor version 4.
    Images = 8,
    /// Since minor version 4.
    Speech = 9,
    /// Anthropic's Messages API, passed on as it comes. Since minor version 4.
    Messages = 10,
    /// Since minor version 4.
    Transcriptions = 11,
    /// OpenAI's Responses API, passed on as it comes. Since minor version 6.
    Responses = 12,
    /// A response that the provider keeps. Since minor version 6.
    Stored = 13,
    /// The tokens of a request of Anthropic's Messages API. Since minor version 6.
    CountMessages = 14,
    /// The tokens of a request of OpenAI's Responses API. Since minor version 6.
    CountResponses = 15,
    /// A conversation of OpenAI's Responses API that is made shorter. Since minor version 6.
    CompactResponses = 16,
}

impl Op {
    pub(crate) fn of(n: i32) -> Op {
        match n {
            2 => Op::Completions,
            3 => Op::Embeddings,
            4 => Op::Models,
            5 => Op::Count,
            6 => Op::Moderations,
            7 => Op::Rerank,
            8 => Op::Images,
            9 => Op::Speech,
            10 => Op::Messages,
            11 => Op::Transcriptions,
            12 => Op::Responses,
            13 => Op::Stored,
            14 => Op::CountMessages,
            15 => Op::CountResponses,
            16 => Op::CompactResponses,
            _ => Op::Chat,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Op::Chat => "chat",
            Op::Completions => "completions",
            Op::Embeddings => "embeddings",
            Op::Models => "models",
            Op::Count => "count",
            Op::Moderations => "moderations",
            Op::Rerank => "rerank",
            Op::Images => "images",
            Op::Speech => "speech",
            Op::Messages => "messages",
            Op::Transcriptions => "transcriptions",
            Op::Responses => "responses",
            Op::Stored => "stored",
            Op::CountMessages => "count_messages",
            Op::CountResponses => "count_responses",
            Op::CompactResponses => "compact_responses",
        }
    }
}

impl Manifest<'static> {
    /// One to begin with: `Manifest { name: "…", version: "…", provider: "…",
    /// ..Manifest::NEW }`.
    pub const NEW: Manifest<'static> = Manifest {
        name: "",
        version: "",
        license: "",
        homepage: "",
        provider: "",
        ops: &[Op::Chat],
        optional_ops: &[],
        max_inputs: &[],
        capabilities: &[],
        default_base_url: "",
        setup: "",
        auth: None,
        options: "",
        plain_content: false,
        knows_models: false,
        routing: Routing { fields: &[], tools: &[] },
        extensions: &[],
    };
}

impl Manifest<'_> {
    pub(crate) fn json(&self) -> Vec<u8> {
        fn field(w: &mut Writer, key: &str, value: &str) {
            if !value.is_empty() {
                w.key(key).string(value);
            }
        }
        let w = &mut Writer::new();
        w.object();
        field(w, "name", self.name);
        field(w, "version", self.version);
        field(w, "license", self.license);
        field(w, "homepage", self.homepage);
        w.key("adapters").array();
        w.object();
        field(w, "provider", self.provider);
        w.key("ops").array();
        for op in self.ops {
            w.string(op.name());
        }
        w.end();
        if !self.optional_ops.is_empty() {
            w.key("optional_ops").object();
            for (op, option) in self.optional_ops {
                w.key(op.name()).string(option);
            }
            w.end();
        }
        if !self.max_inputs.is_empty() {
            w.key("max_inputs").object();
            for (op, n) in self.max_inputs {
                w.key(op.name()).int(i64::from(*n));
            }
            w.end();
        }
        w.key("capabilities").array();
        for c in self.capabilities {
            w.string(c);
        }
        w.end();
        field(w, "default_base_url", self.default_base_url);
        field(w, "setup", self.setup);
        if let Some(auth) = &self.auth {
            w.key("auth").object();
            field(w, "secret", auth.secret);
            field(w, "header", auth.header);
            field(w, "format", auth.format);
            w.end();
        }
        field(w, "options", self.options);
        w.key("plain_content").bool(self.plain_content);
        if self.knows_models {
            w.key("knows_models").bool(true);
        }
        if !self.routing.fields.is_empty() || !self.routing.tools.is_empty() {
            w.key("routing").object();
            for (key, names) in [("fields", self.routing.fields), ("tools", self.routing.tools)] {
                w.key(key).array();
                for name in names {
                    w.string(name);
                }
                w.end();
            }
            w.end();
        }
        if !self.extensions.is_empty() {
            w.key("extensions").array();
            for name in self.extensions {
                w.string(name);
            }
            w.end();
        }
        w.end();
        w.end();
        w.end();
        w.bytes().to_vec()
    }
}
