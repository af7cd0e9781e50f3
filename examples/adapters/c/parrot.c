/* An adapter for Parrot, the small upstream that README.md in the folder above
 * describes. It is the example of docs/sdk-c.md. */

#define KAI_IMPLEMENTATION
#include "../../../sdk/c/kai.h"

/* What one call of an exchange leaves for the next. */
struct state {
    uint32_t calls; /* tool calls so far, which is the number of the next one */
    bool spoke;     /* a word was said */
    bool ended;     /* the parrot said how it ended */
};

static const char *const capabilities[] = {"tools", NULL};

static const kai_manifest manifest = {
    .name = "parrot",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .provider = "parrot",
    .capabilities = capabilities,
    .default_base_url = "http://localhost:7777",
    .auth_secret = "api_key",
    .auth_header = "authorization",
    .auth_format = "Bearer {}",
    .options = "// How high the parrot speaks.\npitch?: int & >=1 & <=9",
};

static kai_bytes speaker(kai_bytes role) {
    if (kai_is(role, "user")) return KAI("Human:");
    if (kai_is(role, "assistant")) return KAI("Parrot:");
    if (kai_is(role, "tool")) return KAI("Trick:");
    return KAI("Keeper:");
}

/* Writes a conversation as one text, a line for each message. The texts are copied
 * as they stand between their quotes: a long one is the gateway's reference to it. */
static int write_prompt(kai_json messages, kai_buf *prompt) {
    kai_walk w = kai_array(messages);
    kai_message m;
    for (int i = 0; kai_next_message(&w, &m); i++) {
        if (i > 0) kai_add(prompt, KAI("\\n"));
        kai_add(prompt, speaker(m.role));
        kai_walk parts = kai_parts(m.content);
        for (kai_part p; kai_next_part(&parts, &p);) {
            kai_bytes text;
            if (!kai_raw_string(p.text, &text)) {
                kai_buf param = {0};
                kai_add(&param, KAI("messages["));
                kai_add_int(&param, i);
                kai_add(&param, KAI("].content"));
                return kai_fail((kai_error){
                    .status = 400, .param = kai_added(&param), .message = KAI("Parrots understand text only."),
                });
            }
            kai_add_char(prompt, ' ');
            kai_add(prompt, text);
        }
    }
    return KAI_OK;
}

/* Turns a chat completion into POST /v1/squawk. */
static int on_request(const kai_request *r, struct state *s) {
    (void)s;
    kai_json model = {0}, messages = {0}, tools = {0}, limit = {0};
    kai_walk f = kai_object(r->body);
    while (kai_next(&f)) {
        if (kai_is(f.key, "model")) model = f.value;
        else if (kai_is(f.key, "messages")) messages = f.value;
        else if (kai_is(f.key, "tools")) tools = f.value;
        else if (kai_is(f.key, "max_tokens")) limit = f.value;
    }
    if (f.fault.message) return kai_fail((kai_error){.status = 400, .message = KAI("The request is not valid JSON.")});
    kai_buf prompt = {0};
    if (write_prompt(messages, &prompt) != KAI_OK) return KAI_FAILED;

    kai_writer w = {0};
    kai_write_object(&w);
    kai_write_key(&w, "model");
    kai_write_raw(&w, model);
    kai_write_key(&w, "prompt");
    kai_write_raw_string(&w, kai_added(&prompt));
    kai_write_key(&w, "stream");
    kai_write_bool(&w, r->stream);
    if (kai_kind_of(limit) == KAI_NUMBER) {
        kai_write_key(&w, "words");
        kai_write_raw(&w, limit);
    }
    kai_json pitch = kai_get(r->options, "pitch");
    if (pitch.len) {
        kai_write_key(&w, "pitch");
        kai_write_raw(&w, pitch);
    }
    if (kai_kind_of(tools) == KAI_ARRAY) {
        kai_write_key(&w, "tricks");
        kai_write_array(&w);
        for (kai_walk t = kai_array(tools); kai_next(&t);) kai_write_raw(&w, kai_get(t.value, "function"));
        kai_write_end(&w);
    }
    kai_write_end(&w);

    kai_send(&(kai_upstream){
        .path = KAI("/v1/squawk"),
        .framing = r->stream ? KAI_NDJSON : KAI_WHOLE,
        .body = kai_written(&w),
    });
    return KAI_OK;
}

/* Fails with a text and what Parrot said. */
static int fail_with(kai_error e, kai_bytes text, kai_bytes said) {
    kai_buf message = {0};
    kai_add(&message, text);
    kai_add(&message, said);
    e.message = kai_added(&message);
    return kai_fail(e);
}

/* Fails for something that is not the client's fault. */
static int fail_upstream(kai_bytes text, kai_bytes said) {
    return fail_with((kai_error){.status = 502, .code = "upstream_error"}, text, said);
}

/* Maps an error of Parrot: the status of its answer, or the code it gives in the
 * middle of a stream, and its words. */
static int fail_as(int64_t status, kai_json oops, kai_bytes retry_after) {
    kai_bytes text = KAI("it did not say why");
    kai_string(oops, &text);
    switch (status) {
    case 400:
    case 422:
        return fail_with((kai_error){.status = 400}, KAI("Parrot refuses the request: "), text);
    case 401:
    case 403:
        return kai_fail((kai_error){
            .status = 502, .code = "upstream_auth", .message = KAI("Parrot refuses the gateway's key."),
        });
    case 404:
        return fail_with((kai_error){.status = 404, .code = "model_not_found", .param = KAI("model")},
                         KAI("Parrot has no such bird: "), text);
    case 429: {
        int64_t seconds = 0;
        kai_int(retry_after, &seconds);
        seconds = seconds < 0 ? 0 : seconds > 3600 ? 3600 : seconds;
        return fail_with((kai_error){.status = 429, .retry_after_ms = seconds * 1000}, KAI("The parrot needs a rest: "), text);
    }
    }
    return fail_upstream(KAI("Parrot failed: "), text);
}

/* States what one object of an answer says. */
static int take(kai_json data, struct state *s) {
    kai_json word = {0}, tool = {0}, end = {0}, heard = {0}, spoken = {0}, oops = {0}, code = {0};
    kai_walk f = kai_object(data);
    while (kai_next(&f)) {
        if (kai_is(f.key, "t")) word = f.value;
        else if (kai_is(f.key, "tool")) tool = f.value;
        else if (kai_is(f.key, "end")) end = f.value;
        else if (kai_is(f.key, "in")) heard = f.value;
        else if (kai_is(f.key, "out")) spoken = f.value;
        else if (kai_is(f.key, "oops")) oops = f.value;
        else if (kai_is(f.key, "code")) code = f.value;
    }
    if (kai_kind_of(data) != KAI_OBJECT || f.fault.message)
        return fail_upstream(KAI("The answer is not what Parrot sends. Does base_url lead to it?"), KAI(""));
    if (oops.len) {
        int64_t status = 0;
        kai_int(code, &status);
        return fail_as(status, oops, KAI(""));
    }
    kai_bytes text, name, reason;
    if (kai_raw_string(word, &text)) {
        if (s->spoke) kai_text(0, KAI(" ")); /* each line is a word */
        kai_text_json(0, text);
        s->spoke = true;
    }
    if (kai_string(kai_get(tool, "name"), &name)) {
        kai_tool_name(0, s->calls, name);
        kai_tool_args(0, s->calls, kai_get(tool, "args"));
        s->calls++;
    }
    if (kai_string(end, &reason)) {
        s->ended = true;
        int64_t prompt, completion;
        if (kai_int(heard, &prompt) && kai_int(spoken, &completion)) kai_tokens(prompt, completion);
        /* Of stop the gateway makes tool_calls where a tool was called. */
        kai_finish(0, kai_is(reason, "length") ? "length" : "stop");
    }
    return KAI_OK;
}

/* Takes an answer that came in one piece: one object with everything, or an error. */
static int on_response(const kai_response *r, struct state *s) {
    if (r->status < 200 || r->status > 299)
        return fail_as(r->status, kai_get(r->body, "oops"), kai_head(r->head, "retry-after"));
    int status = take(r->body, s);
    if (status == KAI_OK && !s->ended) return fail_upstream(KAI("The parrot's answer is not complete."), KAI(""));
    return status;
}

/* Takes one line of a streamed answer. */
static int on_event(const kai_event *e, struct state *s) {
    if (e->end || e->done || s->ended) return KAI_OK; /* without the line that says how it ended, the gateway reports an error */
    return take(e->data, s);
}

KAI_ADAPTER(manifest, struct state, on_request, on_response, on_event)
