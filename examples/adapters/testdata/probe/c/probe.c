/* Is go/probe.go in C. */

#define KAI_IMPLEMENTATION
#include "../../../../../sdk/c/kai.h"

struct state {
    uint8_t small;
    uint32_t events;
    int64_t large;
    double half;
    uint16_t ring[3];
    bool odd;
};

static const kai_manifest manifest = {.name = "probe", .version = "1.0.0", .provider = "probe"};

static void say(unsigned n, kai_bytes b) { kai_tool_args(0, n, b); }

static void say_with_dot(unsigned n, kai_bytes b) {
    kai_buf t = {0};
    kai_add(&t, b);
    kai_add_char(&t, '.');
    say(n, kai_added(&t));
}

static void say_int(unsigned n, int64_t i) {
    kai_buf t = {0};
    kai_add_int(&t, i);
    say(n, kai_added(&t));
}

static kai_bytes bool_text(bool b) { return b ? KAI("true") : KAI("false"); }

static void say_fault(unsigned n, kai_fault f) {
    if (!f.message) return;
    kai_buf t = {0};
    kai_add(&t, KAI("invalid JSON at byte "));
    kai_add_int(&t, (int64_t)f.offset);
    kai_add(&t, KAI(": "));
    kai_add(&t, kai_of(f.message));
    say(n, kai_added(&t));
}

static int on_request(const kai_request *r, struct state *s) {
    (void)s;
    if (r->op != KAI_CHAT) {
        kai_result(KAI("{\"data\":[]}"));
        return KAI_OK;
    }
    if (r->stream) {
        kai_send(&(kai_upstream){
            .method = "PUT", .path = KAI("/a?b=c"), .framing = KAI_SSE, .wait_ms = 300,
            .headers = KAI("x-a: b\ncontent-type: text/plain\n"), .body = KAI("body"),
        });
        return KAI_OK;
    }
    kai_send(&(kai_upstream){.path = KAI("/a"), .body = r->options});
    kai_text(1, KAI("text"));
    kai_text_json(1, KAI("te\\nxt"));
    kai_reasoning(1, KAI("reasoning"));
    kai_reasoning_json(1, KAI("reason\\ning"));
    kai_refusal(2, KAI("refusal"));
    kai_refusal_json(2, KAI("refu\\nsal"));
    kai_tool_id(0, 3, KAI("id"));
    kai_tool_name(0, 3, KAI("name"));
    kai_tool_args(0, 3, KAI("{"));
    kai_tool_args_json(0, 3, KAI("\\\"a\\\":1}"));
    kai_tool_extra(0, 1, KAI("{\"t\":0}"));
    kai_tool_signature(0, 1, KAI("s\""));
    kai_tool_signature_json(0, 1, KAI("\\\"t"));
    kai_reasoning_detail(1, KAI("{\"type\":\"reasoning.text\"}"));
    kai_signature(1, KAI("u"));
    kai_signature_json(1, KAI("\\n"));
    kai_citation(1, KAI("{\"url\":\"x\"}"));
    kai_stop_reason(1, KAI("end_turn"));
    kai_stop_reason_json(1, KAI("\\t"));
    kai_logprobs(1, KAI("[]"));
    kai_delta_extra(1, KAI("{\"a\":1}"));
    kai_choice_extra(1, KAI("{\"b\":1}"));
    kai_chunk_extra(KAI("{\"c\":1}"));
    kai_usage(KAI("{\"total_tokens\":1}"));
    kai_tokens(-1, INT64_MAX);
    kai_finish(127, "length");
    kai_end();
    kai_log(KAI_WARN, KAI("logged"));
    return kai_fail((kai_error){
        .status = 418, .type = "t", .code = "c", .param = KAI("p"), .message = KAI("a\"\\\n\x01\u00e9"), .retry_after_ms = 1500,
    });
}

static int enter(kai_reader *r) { return kai_read_kind(r) == KAI_OBJECT ? kai_read_object(r) : kai_read_array(r); }

static void go_into(kai_reader *r, int level) {
    bool object = kai_read_kind(r) == KAI_OBJECT;
    int n = 0;
    for (int in = enter(r); kai_read_next(r, in); n++) {
        if (object) say(33, r->key);
        kai_kind kind = kai_read_kind(r);
        say_int(35, kind);
        bool nested = kind == KAI_OBJECT || kind == KAI_ARRAY;
        if (n % 3 == 0) {
            if (nested && level < 20) go_into(r, level + 1);
            say(34, kai_read_value(r));
        } else if (n % 3 == 1 && nested) {
            kai_read_next(r, enter(r));
        }
    }
}

static void read(kai_json v) {
    kai_reader reader = kai_read(v);
    kai_kind kind = kai_read_kind(&reader);
    if (kind == KAI_OBJECT || kind == KAI_ARRAY) go_into(&reader, 0);
    else say(34, kai_read_value(&reader));
    say_fault(36, reader.fault);
    kai_reader strict = kai_read(v);
    for (int top = kai_read_object(&strict); kai_read_next(&strict, top);) {
        say(37, strict.key);
        for (int list = kai_read_array(&strict); kai_read_next(&strict, list);) {
            kai_bytes inside = {0};
            kai_inside(kai_read_value(&strict), &inside);
            say(38, inside);
        }
    }
    say_fault(39, strict.fault);
}

static int on_response(const kai_response *r, struct state *s) {
    (void)s;
    kai_json v = r->body;
    bool yes;
    int64_t n = 0;
    kai_bytes text = {0}, inside = {0}, media_type, base64;
    say(1, kai_head(r->head, "retry-after"));
    say_int(2, kai_kind_of(v));
    say_fault(3, kai_check(v));
    if (kai_bool(v, &yes)) say(4, bool_text(yes));
    if (kai_int(v, &n)) say_int(5, n);
    if (kai_string(v, &text)) say_with_dot(6, text);
    if (kai_raw_string(v, &inside)) {
        say_with_dot(7, inside);
        if (kai_split_data_url(inside, &media_type, &base64)) {
            say_with_dot(8, media_type);
            say(9, base64);
        }
    }
    say(10, kai_get(v, "key"));
    kai_walk w = kai_object(v);
    while (kai_next(&w)) {
        say(11, w.key);
        say(12, w.value);
    }
    say_fault(13, w.fault);
    w = kai_array(v);
    while (kai_next(&w)) say(14, w.value);
    say_fault(15, w.fault);
    w = kai_array(v);
    for (kai_message m; kai_next_message(&w, &m);) {
        say(16, m.role);
        const kai_json all[] = {m.content, m.name, m.tool_calls, m.tool_call_id, m.reasoning, m.raw};
        for (unsigned i = 0; i < 6; i++) say(17 + i, all[i]);
        kai_walk calls = kai_array(m.tool_calls);
        for (kai_tool_call c; kai_next_tool_call(&calls, &c);) {
            say(23, c.id);
            say(24, c.name);
            say(25, c.arguments);
            say(26, c.raw);
        }
    }
    w = kai_parts(v);
    for (kai_part p; kai_next_part(&w, &p);) {
        say(27, p.type);
        say(28, p.text);
        say(29, p.url);
        say(30, p.data);
        say(31, p.raw);
    }
    kai_writer out = {0};
    kai_write_array(&out);
    kai_write_raw(&out, (kai_json){0});
    kai_write_object(&out);
    kai_write_key(&out, "te\"xt");
    kai_write_string(&out, text);
    kai_write_key(&out, "raw");
    kai_write_raw_string(&out, inside);
    kai_write_key(&out, "int");
    kai_write_int(&out, n);
    kai_write_key(&out, "list");
    kai_write_array(&out);
    kai_write_end(&out);
    kai_write_end(&out);
    kai_write_bool(&out, true);
    kai_write_null(&out);
    kai_write_end(&out);
    say(32, kai_written(&out));
    read(v);
    return KAI_OK;
}

static int on_event(const kai_event *e, struct state *s) {
    if (kai_is(e->data, "panic")) {
        kai_log(KAI_ERROR, KAI("as told"));
        __builtin_trap();
    }
    if (kai_is(e->data, "reset")) {
        *s = (struct state){0};
        return KAI_OK;
    }
    s->small += 100;
    s->events++;
    s->large -= (int64_t)1 << 40;
    s->half += 0.5;
    s->ring[s->events % 3] = (uint16_t)s->events;
    s->odd = !s->odd;
    say_int(1, s->small);
    say_int(2, s->events);
    say_int(3, s->large);
    say_int(4, (int64_t)(s->half * 2));
    say_int(5, (int64_t)s->ring[0] << 32 | (int64_t)s->ring[1] << 16 | (int64_t)s->ring[2]);
    say(6, bool_text(s->odd));
    kai_buf t = {0};
    kai_add(&t, bool_text(e->end));
    kai_add(&t, bool_text(e->done));
    say(7, kai_added(&t));
    say(8, e->name);
    say(9, e->data);
    return KAI_OK;
}

KAI_ADAPTER(manifest, struct state, on_request, on_response, on_event)
