//! Is go/probe.go in Rust.

use kai::{
    log, messages, parts, split_data_url, tool_calls, Adapter, Depth, Error, Event, Framing, Json, Kind, Level, Manifest,
    Op, Out, Reader, Request, Response, SyntaxError, Upstream, Writer,
};

kai::adapter!(Probe);

struct Probe;

kai::state! {
    struct State {
        small: u8,
        events: u32,
        large: i64,
        half: f64,
        ring: [u16; 3],
        odd: bool,
    }
}

struct Said<'a>(&'a mut Out);

impl Said<'_> {
    fn bytes(&mut self, n: u32, b: &[u8]) {
        self.0.tool_args(0, n, b);
    }
    fn json(&mut self, n: u32, v: Json) {
        self.bytes(n, v.bytes());
    }
    fn string(&mut self, n: u32, text: &str) {
        self.bytes(n, text.as_bytes());
    }
    fn int(&mut self, n: u32, i: i64) {
        self.string(n, &i.to_string());
    }
    fn fault(&mut self, n: u32, r: Result<(), SyntaxError>) {
        if let Err(e) = r {
            self.string(n, &e.to_string());
        }
    }
}

impl Adapter for Probe {
    type State = State;
    const MANIFEST: Manifest<'static> =
        Manifest { name: "probe", version: "1.0.0", provider: "probe", ..Manifest::NEW };

    fn request(r: &Request, _: &mut State, out: &mut Out) -> Result<(), Error> {
        if r.op != Op::Chat {
            out.result(br#"{"data":[]}"#);
            return Ok(());
        }
        if r.stream {
            out.send(&Upstream {
                method: "PUT",
                path: "/a?b=c",
                framing: Framing::Sse,
                headers: &["x-a: b", "content-type: text/plain"],
                body: Some(b"body"),
                wait_ms: 300,
            });
            return Ok(());
        }
        out.send(&Upstream { path: "/a", body: Some(r.options.bytes()), ..Upstream::NEW });
        out.text(1, "text");
        out.text_json(1, br"te\nxt");
        out.reasoning(1, "reasoning");
        out.reasoning_json(1, br"reason\ning");
        out.refusal(2, "refusal");
        out.refusal_json(2, br"refu\nsal");
        out.tool_id(0, 3, "id");
        out.tool_name(0, 3, "name");
        out.tool_args(0, 3, b"{");
        out.tool_args_json(0, 3, br#"\"a\":1}"#);
        out.tool_extra(0, 1, br#"{"t":0}"#);
        out.tool_signature(0, 1, "s\"");
        out.tool_signature_json(0, 1, br#"\"t"#);
        out.reasoning_detail(1, br#"{"type":"reasoning.text"}"#);
        out.signature(1, "u");
        out.signature_json(1, br"\n");
        out.citation(1, br#"{"url":"x"}"#);
        out.stop_reason(1, "end_turn");
        out.stop_reason_json(1, br"\t");
        out.logprobs(1, b"[]");
        out.delta_extra(1, br#"{"a":1}"#);
        out.choice_extra(1, br#"{"b":1}"#);
        out.chunk_extra(br#"{"c":1}"#);
        out.usage(br#"{"total_tokens":1}"#);
        out.tokens(-1, i64::MAX);
        out.finish(127, "length");
        out.end();
        log(Level::Warn, "logged");
        Err(Error {
            kind: "t".into(),
            code: "c".into(),
            param: "p".into(),
            retry_after_ms: 1500,
            ..Error::new(418, "a\"\\\n\u{1}\u{e9}")
        })
    }

    fn response(r: &Response, _: &mut State, out: &mut Out) -> Result<(), Error> {
        let v = Json::new(r.body);
        let say = &mut Said(out);
        say.string(1, r.head.get("retry-after").unwrap_or(""));
        say.int(2, v.kind() as i64);
        say.fault(3, v.valid());
        if let Some(b) = v.bool() {
            say.string(4, &b.to_string());
        }
        if let Some(n) = v.int() {
            say.int(5, n);
        }
        if let Some(text) = v.str() {
            say.string(6, &format!("{}.", text));
        }
        if let Some(inside) = v.raw_str() {
            say.bytes(7, &[inside, b"."].concat());
            if let Some((media_type, base64)) = split_data_url(inside) {
                say.string(8, &(media_type + "."));
                say.bytes(9, base64);
            }
        }
        say.json(10, v.get("key"));
        let mut fields = v.fields();
        for (key, value) in &mut fields {
            say.bytes(11, &key);
            say.json(12, value);
        }
        say.fault(13, fields.check());
        let mut items = v.items();
        for value in &mut items {
            say.json(14, value);
        }
        say.fault(15, items.check());
        for m in messages(v) {
            say.string(16, &m.role);
            for (i, f) in [m.content, m.name, m.tool_calls, m.tool_call_id, m.reasoning, m.raw].iter().enumerate() {
                say.json(17 + i as u32, *f);
            }
            for c in tool_calls(m.tool_calls) {
                for (i, f) in [c.id, c.name, c.arguments, c.raw].iter().enumerate() {
                    say.json(23 + i as u32, *f);
                }
            }
        }
        for p in parts(v) {
            say.string(27, &p.kind);
            for (i, f) in [p.text, p.url, p.data, p.raw].iter().enumerate() {
                say.json(28 + i as u32, *f);
            }
        }
        let mut w = Writer::new();
        w.array();
        w.raw(Json::ABSENT);
        w.object();
        w.key("te\"xt").string(&v.str().unwrap_or_default());
        w.key("raw").raw_string(v.raw_str().unwrap_or_default());
        w.key("int").int(v.int().unwrap_or(0));
        w.key("list").array();
        w.end();
        w.end();
        w.bool(true);
        w.null();
        w.end();
        say.bytes(32, w.bytes());
        read(v, say);
        Ok(())
    }

    fn event(e: &Event, s: &mut State, out: &mut Out) -> Result<(), Error> {
        match e.data.bytes() {
            b"panic" => panic!("as told"),
            b"reset" => {
                *s = State::default();
                return Ok(());
            }
            _ => {}
        }
        s.small = s.small.wrapping_add(100);
        s.events += 1;
        s.large -= 1 << 40;
        s.half += 0.5;
        s.ring[s.events as usize % 3] = s.events as u16;
        s.odd = !s.odd;
        let say = &mut Said(out);
        say.int(1, s.small.into());
        say.int(2, s.events.into());
        say.int(3, s.large);
        say.int(4, (s.half * 2.0) as i64);
        say.int(5, i64::from(s.ring[0]) << 32 | i64::from(s.ring[1]) << 16 | i64::from(s.ring[2]));
        say.string(6, &s.odd.to_string());
        say.string(7, &format!("{}{}", e.end, e.done));
        say.bytes(8, e.name);
        say.json(9, e.data);
        Ok(())
    }
}

fn read(v: Json, say: &mut Said) {
    let mut reader = Reader::new(v);
    match reader.kind() {
        Kind::Object | Kind::Array => go_into(&mut reader, 0, say),
        _ => say.json(34, reader.value()),
    }
    say.fault(36, reader.check());
    let mut strict = Reader::new(v);
    let top = strict.object();
    while strict.next(top) {
        say.bytes(37, strict.key());
        let list = strict.array();
        while strict.next(list) {
            say.bytes(38, strict.value().inside().unwrap_or_default());
        }
    }
    say.fault(39, strict.check());
}

fn go_into(r: &mut Reader, level: usize, say: &mut Said) {
    let object = r.kind() == Kind::Object;
    let inside = enter(r);
    let mut n = 0;
    while r.next(inside) {
        if object {
            say.bytes(33, r.key());
        }
        let kind = r.kind();
        say.int(35, kind as i64);
        let nested = kind == Kind::Object || kind == Kind::Array;
        match n % 3 {
            0 => {
                if nested && level < 20 {
                    go_into(r, level + 1, say);
                }
                say.json(34, r.value());
            }
            1 if nested => {
                let early = enter(r);
                r.next(early);
            }
            _ => {}
        }
        n += 1;
    }
}

fn enter(r: &mut Reader) -> Depth {
    if r.kind() == Kind::Object {
        r.object()
    } else {
        r.array()
    }
}
