/* kai.h: what an adapter for the Kai gateway is written with, in C99.
 *
 * An adapter translates between OpenAI's API and one upstream: it turns a
 * client's request into an upstream request, and what the upstream answers into
 * typed facts, which the gateway turns into whatever its client speaks. It is a
 * pure function of its options, the exchange's state and its input; it owns no
 * socket, clock, key or file and remembers nothing between two calls.
 *
 *     #define KAI_IMPLEMENTATION      // in one file of the adapter
 *     #include "kai.h"
 *
 *     struct state { uint32_t calls; };
 *
 *     static int on_request(const kai_request *r, struct state *s)   { ... }
 *     static int on_response(const kai_response *r, struct state *s) { ... }
 *     static int on_event(const kai_event *e, struct state *s)       { ... }
 *
 *     static const kai_manifest manifest = {.name = "x", .version = "1.0.0", .provider = "x"};
 *     KAI_ADAPTER(manifest, struct state, on_request, on_response, on_event)
 *
 * Built with clang and lld, without a C library:
 *
 *     clang --target=wasm32 -std=c99 -O2 -ffreestanding -mbulk-memory -c x.c
 *     clang --target=wasm32 -nostdlib -Wl,--no-entry -Wl,--stack-first -Wl,--strip-all -o x.wasm x.o
 *
 * The functions return KAI_OK or what kai_fail gave. Nothing a function was given
 * and nothing it allocated (kai_alloc, and all that says it allocates) outlives
 * the call; there is no free. Memory that is not to be had ends the call.
 */
#ifndef KAI_H
#define KAI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#error "kai.h is C: compile the adapter as C"
#endif
#ifndef __wasm__
#error "kai.h is for WebAssembly: compile with --target=wasm32"
#endif

/* What is not used is left out of the module, even by a linker that is asked to
 * export what it can. */
#pragma GCC visibility push(hidden)

/* ---- bytes ---- */

/* Some bytes that somebody else owns. Empty is {0}. */
typedef struct {
    const uint8_t *at;
    size_t len;
} kai_bytes;

/* The bytes of a string literal. */
#define KAI(literal) ((kai_bytes){(const uint8_t *)("" literal), sizeof(literal) - 1})

/* The bytes of a string that ends in 0; none of NULL. */
kai_bytes kai_of(const char *s);

bool kai_equal(kai_bytes a, kai_bytes b);

/* Whether b is the string s. */
bool kai_is(kai_bytes b, const char *s);

/* n bytes, 8-aligned, zero. They are gone when the call returns. */
void *kai_alloc(size_t n);

/* Text that grows. {0} is empty. */
typedef struct {
    uint8_t *at;
    size_t len, room;
} kai_buf;

void kai_add(kai_buf *t, kai_bytes b);
void kai_add_char(kai_buf *t, char c);
void kai_add_int(kai_buf *t, int64_t n);
/* Adds b as a JSON string literal, quotes included. Escapes only what JSON
 * demands; each byte that is not UTF-8 becomes U+FFFD. */
void kai_add_quoted(kai_buf *t, kai_bytes b);

/* What was added. */
static inline kai_bytes kai_added(const kai_buf *t) { return (kai_bytes){t->at, t->len}; }

/* ---- JSON ----
 *
 * A raw JSON value is its bytes, perhaps with white space around it. Empty is an
 * absent value: everything then answers as for a missing field.
 *
 * The grammar is RFC 8259's with two additions: values nest at most 512 deep, and
 * invalid UTF-8 within strings is accepted; what decodes replaces each such byte
 * by U+FFFD. Nothing recurses. */
typedef kai_bytes kai_json;

typedef enum { KAI_ABSENT, KAI_NULL, KAI_BOOL, KAI_NUMBER, KAI_STRING, KAI_ARRAY, KAI_OBJECT } kai_kind;

/* What is wrong with some JSON. message is NULL if nothing is. */
typedef struct {
    size_t offset; /* of the byte at fault, from the start of the value looked at */
    const char *message;
} kai_fault;

/* The type of the value by its first byte; the rest is not checked. */
kai_kind kai_kind_of(kai_json v);

/* Checks the whole value. An absent one is at fault, too. */
kai_fault kai_check(kai_json v);

/* These give false for a value of another type, and leave what they would set. */
bool kai_bool(kai_json v, bool *value);
/* An integer of 64 bits, however it is written: 100, 1e2 and 100.0 are the same. */
bool kai_int(kai_json v, int64_t *value);
/* The value of a string, decoded. Allocates if the string holds escapes. */
bool kai_string(kai_json v, kai_bytes *value);
/* What stands between the quotes of a string, undecoded. */
bool kai_raw_string(kai_json v, kai_bytes *inside);
/* Is kai_raw_string for a value of a reader or a walk, which has checked it: it only
 * looks at the first byte. */
bool kai_inside(kai_json v, kai_bytes *inside);

/* The text that the inside of a JSON string literal stands for. Lone surrogates and
 * each byte of invalid UTF-8 become U+FFFD. If inside is malformed, a backslash that
 * begins no escape stands for itself. Allocates. */
kai_bytes kai_unquote(kai_bytes inside);

/* The value of a key of a small object: the first, if there are several. It is
 * absent if the object has no such key, if v is no object, and if the syntax is
 * broken before the end of the value looked for. */
kai_json kai_get(kai_json v, const char *key);

/* Walks over the fields of an object or the elements of an array, in order:
 *
 *     kai_walk w = kai_object(body);
 *     while (kai_next(&w))
 *         if (kai_is(w.key, "done")) kai_bool(w.value, &done);
 *     if (w.fault.message) ...
 *
 * Absent and null have none; anything else of another type is a fault. Look at the
 * fault when kai_next gave false: a walk left early knows nothing of the bytes
 * beyond. A key is decoded if it holds escapes (that allocates), and else as it
 * stands. */
typedef struct {
    kai_bytes key; /* of an object */
    kai_json value;
    kai_fault fault;
    kai_bytes all_; /* the rest is the walk's own */
    size_t at_;
    uint8_t place_, bracket_;
} kai_walk;

kai_walk kai_object(kai_json v);
kai_walk kai_array(kai_json v);
bool kai_next(kai_walk *w);

/* Reads a JSON value from its beginning to its end, every byte of it once:
 *
 *     kai_reader r = kai_read(body);
 *     for (int top = kai_read_object(&r); kai_read_next(&r, top);)
 *         if (kai_is(r.key, "message"))
 *             for (int m = kai_read_object(&r); kai_read_next(&r, m);) ...
 *         else if (kai_is(r.key, "done")) kai_bool(kai_read_value(&r), &done);
 *     if (r.fault.message) ...
 *
 * A value is taken whole, or gone into, or else passed by kai_read_next. Whichever it
 * is, all of it is checked. It is the way to read what is nested and long; a kai_walk
 * is simpler where that doesn't matter. */
typedef struct {
    kai_bytes key;   /* of the field that kai_read_next went to; see kai_walk */
    kai_fault fault; /* that ended the reading */
    kai_bytes all_;  /* the rest is the reader's own */
    size_t start_, at_;
    uint64_t objects_[8];
    int depth_;
    uint8_t place_;
    bool is_object_;
} kai_reader;

/* A reader that is before v. */
kai_reader kai_read(kai_json v);
/* These go into the current value, and kai_read_next then goes to its fields or
 * elements: it takes what they return. Absent and null, and a value that was read
 * before, have none. Any other type is a fault. */
int kai_read_object(kai_reader *r);
int kai_read_array(kai_reader *r);
/* Goes to the next field or element of what in stands for. False at the end and at a
 * fault, which may be one of the value before. If a walk inside of the current value
 * was left early, the rest of it is passed, and that walk is over. */
bool kai_read_next(kai_reader *r, int in);
/* The type of the current value by its first byte; the value is not read. */
kai_kind kai_read_kind(const kai_reader *r);
/* The current value. It is absent if its syntax is broken, which ends the reading,
 * and if it was gone into. */
kai_json kai_read_value(kai_reader *r);

/* Builds JSON and puts the commas. {0} is empty. It trusts its caller with the
 * shape (a key before each value of an object, one value in all) and ends the call
 * at 64 open objects and arrays. */
typedef struct {
    kai_buf text;
    uint64_t objects_;
    uint8_t open_;
    bool comma_;
} kai_writer;

void kai_write_object(kai_writer *w);
void kai_write_array(kai_writer *w);
void kai_write_end(kai_writer *w); /* of what was begun last and is still open */
void kai_write_key(kai_writer *w, const char *key);
void kai_write_string(kai_writer *w, kai_bytes s);
void kai_write_raw_string(kai_writer *w, kai_bytes inside); /* see kai_raw_string */
void kai_write_raw(kai_writer *w, kai_json v);              /* an absent one as null */
void kai_write_int(kai_writer *w, int64_t n);
void kai_write_bool(kai_writer *w, bool b);
void kai_write_null(kai_writer *w);
static inline kai_bytes kai_written(const kai_writer *w) { return kai_added(&w->text); }

/* ---- OpenAI's requests ---- */

/* One message of a chat request. Its fields are raw JSON, and empty when the
 * client left them away or sent null. */
typedef struct {
    kai_bytes role;         /* decoded */
    kai_json content;       /* a string or an array of parts */
    kai_json name;
    kai_json tool_calls;    /* an array, of assistants */
    kai_json tool_call_id;  /* of tool results */
    kai_json reasoning;     /* "reasoning", else "reasoning_content" */
    kai_json raw;           /* the whole object */
} kai_message;

/* Takes the next message; w is kai_array of "messages". */
bool kai_next_message(kai_walk *w, kai_message *m);

/* One part of a message's content. */
typedef struct {
    kai_bytes type; /* decoded: "text", "image_url", "input_audio", "file", "refusal", ... */
    kai_json text;  /* of "text" and "refusal": a string */
    kai_json url;   /* of "image_url": a string, perhaps a data: URL */
    kai_json data;  /* of "input_audio" and "file": a string of base64 (a file's is a data: URL) */
    kai_json raw;   /* the whole part */
} kai_part;

/* Walks over the parts of a message's content; a string is one part of text. */
kai_walk kai_parts(kai_json content);
bool kai_next_part(kai_walk *w, kai_part *p);

/* One tool call in an assistant's message. */
typedef struct {
    kai_json id, name, arguments; /* strings; arguments holds JSON text */
    kai_json raw;
} kai_tool_call;

/* Takes the next call; w is kai_array of "tool_calls". */
bool kai_next_tool_call(kai_walk *w, kai_tool_call *c);

/* Takes apart the inside of a JSON string that holds a data: URL of base64. What
 * follows the comma may be a reference to content the gateway holds back; it is
 * passed on as it is. False for any other URL. Allocates the media type. */
bool kai_split_data_url(kai_bytes inside, kai_bytes *media_type, kai_bytes *base64);

/* ---- the calls ---- */

/* Those from 6 on are there since minor version 4, those from 12 on since 6. */
typedef enum {
    KAI_CHAT = 1, KAI_COMPLETIONS = 2, KAI_EMBEDDINGS = 3, KAI_MODELS = 4, KAI_COUNT = 5, KAI_MODERATIONS = 6, KAI_RERANK = 7, KAI_IMAGES = 8,
    KAI_SPEECH = 9, KAI_MESSAGES = 10, KAI_TRANSCRIPTIONS = 11, KAI_RESPONSES = 12, KAI_STORED = 13,
    KAI_COUNT_MESSAGES = 14, KAI_COUNT_RESPONSES = 15, KAI_COMPACT_RESPONSES = 16
} kai_op;

enum { KAI_OK = 0, KAI_FAILED = 1 };

/* What a client asks. */
typedef struct {
    kai_op op;
    bool stream;      /* the client wants a stream; the adapter may answer either way */
    kai_json options; /* of this model: the provider's with the model's laid over, checked, with defaults */
    kai_json body;    /* the client's body, valid JSON; "model" is the upstream's name */
} kai_request;

/* A whole answer of the upstream: every status outside 2xx, and what is not a
 * stream. */
typedef struct {
    kai_op op;
    int status;     /* HTTP status */
    kai_bytes head; /* the header lines the gateway lets through; see kai_head */
    kai_bytes body; /* as it came: perhaps not JSON, perhaps empty */
} kai_response;

/* One frame of a streamed answer. */
typedef struct {
    kai_op op;
    kai_bytes name; /* the event's name in SSE, else empty */
    kai_json data;  /* one line of NDJSON, the data of an SSE event: as it came */
    bool end;       /* the upstream ended cleanly; there is no data */
    bool done;      /* the upstream said [DONE]; there is no data */
} kai_event;

/* The value of the first header line called name (in lower case), or none. */
kai_bytes kai_head(kai_bytes head, const char *name);

/* ---- what an adapter states ----
 *
 * What is given is copied at once, unless it is a part of the call's input, which nobody
 * may write to. Nothing counts if the call fails. Functions that
 * end in _json take the inside of a JSON string literal (kai_raw_string), so that
 * text passes from the upstream to the client without being decoded. */

/* Bytes are no JSON: the client gets them as they come (since minor version 4). */
typedef enum { KAI_WHOLE = 0, KAI_SSE = 1, KAI_NDJSON = 2, KAI_BYTES = 3 } kai_framing;

/* A request to the upstream. */
typedef struct {
    const char *method; /* default POST */
    kai_bytes path;     /* below the provider's base_url; may have a query */
    kai_framing framing;
    kai_bytes headers;  /* lines "lower-case-name: value\n"; without content-type a body is application/json */
    kai_bytes body;
    uint32_t wait_ms;   /* before it is sent, for upstreams that are polled */
} kai_upstream;

/* Makes u the request of this exchange, or its next one when called for a
 * response. The gateway adds the secret, the host and everything about the
 * connection. */
void kai_send(const kai_upstream *u);

void kai_wait(uint32_t ms); /* holds back what follows, at most 60,000, in an answer without upstream */
void kai_text(unsigned choice, kai_bytes text); /* what the assistant says */
void kai_text_json(unsigned choice, kai_bytes inside);
void kai_reasoning(unsigned choice, kai_bytes text); /* what it thinks before */
void kai_reasoning_json(unsigned choice, kai_bytes inside);
void kai_refusal(unsigned choice, kai_bytes text); /* in which it declines */
void kai_refusal_json(unsigned choice, kai_bytes inside);
/* Tool calls are counted from 0 as the upstream counts them. Without an id, or with
 * one used before, the gateway makes one. */
void kai_tool_id(unsigned choice, unsigned call, kai_bytes id);
void kai_tool_name(unsigned choice, unsigned call, kai_bytes name);
void kai_tool_args(unsigned choice, unsigned call, kai_bytes text); /* of the arguments' JSON text */
void kai_tool_args_json(unsigned choice, unsigned call, kai_bytes inside);
void kai_tool_extra(unsigned choice, unsigned call, kai_json object); /* fields OpenAI does not know */
void kai_tool_signature(unsigned choice, unsigned call, kai_bytes text); /* the provider's, which it wants back */
void kai_tool_signature_json(unsigned choice, unsigned call, kai_bytes inside);
void kai_reasoning_detail(unsigned choice, kai_json object); /* reasoning in the form in which the provider wants it back */
void kai_signature(unsigned choice, kai_bytes text);         /* of the text, which the provider wants back */
void kai_signature_json(unsigned choice, kai_bytes inside);
void kai_citation(unsigned choice, kai_json object); /* a source of the text, as the provider states it */
void kai_stop_reason(unsigned choice, kai_bytes word); /* the provider's own word, beside kai_finish */
void kai_stop_reason_json(unsigned choice, kai_bytes inside);
void kai_logprobs(unsigned choice, kai_json array);      /* OpenAI's token objects */
void kai_delta_extra(unsigned choice, kai_json object);  /* fields OpenAI doesn't know, of the message */
void kai_choice_extra(unsigned choice, kai_json object); /* of the choice */
void kai_chunk_extra(kai_json object);                   /* of the answer or chunk */
void kai_usage(kai_json object);                         /* OpenAI's, or a part of it; the last wins */
void kai_tokens(int64_t prompt, int64_t completion);
void kai_finish(unsigned choice, const char *reason); /* stop, length, tool_calls, content_filter or function_call */
void kai_end(void);                                   /* the answer is complete by the upstream's protocol: nothing more is read */
void kai_result(kai_json json);                       /* of an operation other than chat */
void kai_pass(bool content);                          /* the upstream's event or whole answer goes on as it came: of KAI_MESSAGES, KAI_RESPONSES, KAI_STORED, KAI_COUNT_MESSAGES, KAI_COUNT_RESPONSES, KAI_COMPACT_RESPONSES, and events of KAI_IMAGES, KAI_SPEECH, KAI_TRANSCRIPTIONS; content: the assistant says something */

/* A failure as a client sees it. The message is shown to clients: no addresses, no
 * keys, nothing of other requests. */
typedef struct {
    int status; /* an HTTP status from 400 to 599 */
    const char *type, *code;
    kai_bytes param;
    kai_bytes message;
    int64_t retry_after_ms; /* 0: unknown */
    bool no_retry;          /* a repeat of the same request can't succeed, whatever the status says */
    const char *own;        /* what the message says in the adapter's own words, with nothing of the upstream's, for the log; NULL: left out */
} kai_error;

/* Makes e the call's error: return kai_fail((kai_error){...}); */
int kai_fail(kai_error e);

/* Writes a line to the gateway's log. The gateway drops what is below the
 * provider's log setting (default: warn) and more than 20 lines a second. Never log
 * prompts. */
enum { KAI_DEBUG = -4, KAI_INFO = 0, KAI_WARN = 4, KAI_ERROR = 8 };
void kai_log(int level, kai_bytes text);

/* ---- the module ---- */

/* What a module is. docs/abi.md has its JSON form. */
/* How many inputs a request for an operation may have at most; the gateway cuts those with
 * more. Since minor version 3. */
typedef struct {
    const char *op;
    int n;
} kai_max_inputs;

typedef struct {
    const char *name, *version;          /* must be given, as must provider */
    const char *license, *homepage;
    const char *provider;                /* the upstream it speaks to */
    const char *const *ops;              /* ends in NULL; default: chat */
    const char *const *optional_ops;     /* pairs of an operation and the option without which it is not served; ends in NULL */
    const kai_max_inputs *max_inputs;    /* ends in one of op NULL */
    const char *const *capabilities;     /* ends in NULL */
    const char *default_base_url;
    const char *setup;                   /* what somebody has to do before a model answers; {model} is the upstream's name */
    const char *auth_secret;             /* "api_key" */
    const char *auth_header;             /* in lower case; NULL: the provider has no secret */
    const char *auth_format;             /* with one {} for the secret: "Bearer {}" */
    const char *options;                 /* CUE; NULL allows none */
    bool plain_content;                  /* wants to see long content instead of references to it */
    bool knows_models;                   /* for an adapter without upstream: its options get a member "models" */
    /* By what a client's request that the adapter passes on would choose the model, the
     * provider or the account that serves it. The gateway refuses these unless the
     * client's key may choose. */
    const char *const *routing_fields;   /* at the request's top, none of OpenAI's own: "models"; ends in NULL */
    const char *const *routing_tools;    /* how the type of a tool begins: "openrouter:"; ends in NULL */
    const char *const *extensions;       /* what it takes beyond chat completions (docs/abi.md): "cache_control"; ends in NULL */
} kai_manifest;

/* Makes the functions the adapter of this module. state is a type of at most 4 KiB
 * without pointers; it is zero at the start of an exchange and kept by the gateway
 * between calls. */
#define KAI_ADAPTER(manifest, state, on_request, on_response, on_event)                                           \
    _Static_assert(sizeof(state) <= 4096, "the state has more than 4 KiB");                                       \
    static state kai_state_;                                                                                      \
    KAI_EXPORT(kai_manifest) int kai_export_manifest_(void) { return kai_emit_manifest_(&(manifest)); }           \
    KAI_EXPORT(kai_request) int kai_export_request_(int op, int flags, size_t options, size_t body) {             \
        kai_request r = kai_request_(op, flags, options, body, &kai_state_, sizeof kai_state_);                   \
        return kai_done_(on_request(&r, &kai_state_), &kai_state_, sizeof kai_state_);                            \
    }                                                                                                             \
    KAI_EXPORT(kai_response) int kai_export_response_(int op, int status, size_t n, size_t head, size_t body) {   \
        kai_response r = kai_response_(op, status, n, head, body, &kai_state_, sizeof kai_state_);                \
        return kai_done_(on_response(&r, &kai_state_), &kai_state_, sizeof kai_state_);                           \
    }                                                                                                             \
    KAI_EXPORT(kai_event) int kai_export_event_(int op, int flags, size_t n, size_t name, size_t data) {          \
        kai_event e = kai_event_(op, flags, n, name, data, &kai_state_, sizeof kai_state_);                       \
        return kai_done_(on_event(&e, &kai_state_), &kai_state_, sizeof kai_state_);                              \
    }                                                                                                             \
    KAI_EXPORT(kai_events) int kai_export_events_(int op, size_t n, size_t frames) {                              \
        kai_frames_state_ f = kai_frames_(op, n, frames, &kai_state_, sizeof kai_state_);                         \
        int status;                                                                                               \
        do {                                                                                                      \
            kai_event e = kai_next_frame_(&f);                                                                    \
            status = on_event(&e, &kai_state_);                                                                   \
        } while (status == KAI_OK && kai_more_frames_(&f));                                                       \
        return kai_done_(status, &kai_state_, sizeof kai_state_);                                                 \
    }

#define KAI_EXPORT(name) __attribute__((export_name(#name)))

int kai_emit_manifest_(const kai_manifest *m);
kai_request kai_request_(int op, int flags, size_t options, size_t body, void *state, size_t size);
kai_response kai_response_(int op, int status, size_t before, size_t head, size_t body, void *state, size_t size);
kai_event kai_event_(int op, int flags, size_t before, size_t name, size_t data, void *state, size_t size);
int kai_done_(int status, const void *state, size_t size);

/* The events of a call with several. */
typedef struct {
    int op;
    kai_bytes rest; /* each after its length */
} kai_frames_state_;

kai_frames_state_ kai_frames_(int op, size_t before, size_t frames, void *state, size_t size);
kai_event kai_next_frame_(kai_frames_state_ *f);
bool kai_more_frames_(const kai_frames_state_ *f);

#pragma GCC visibility pop

#endif /* KAI_H */

#ifdef KAI_IMPLEMENTATION
#undef KAI_IMPLEMENTATION

#ifndef __wasm_bulk_memory__
#error "compile with -mbulk-memory"
#endif

#pragma GCC visibility push(hidden)

/* ---- memory ----
 *
 * What is behind the program's data is one region: first the buffer of the calls'
 * input, then what the running call allocates. A call begins with none of it in use. */

extern uint8_t __heap_base;

static uint8_t *kai_input_;  /* the buffer, 8-aligned; NULL before it is asked for */
static size_t kai_input_room_;
static uint8_t *kai_free_;   /* where the next allocation goes */
static size_t kai_before_;   /* bytes of state at the start of the buffer */
static bool kai_has_error_;
static kai_error kai_error_;

/* The compiler may call these for what it copies. */
void *memcpy(void *to, const void *from, size_t n) { return __builtin_memcpy(to, from, n); }
void *memmove(void *to, const void *from, size_t n) { return __builtin_memmove(to, from, n); }
void *memset(void *to, int c, size_t n) { return __builtin_memset(to, c, n); }

static size_t kai_align_(size_t n) { return (n + 7) & ~(size_t)7; }

/* Sees to it that memory reaches until end. */
static bool kai_reach_(size_t from, size_t n) {
    size_t have = __builtin_wasm_memory_size(0);
    if (n > (size_t)-1 - from - 0xffff) return false;
    size_t pages = (from + n + 0xffff) >> 16;
    if (pages <= have) return true;
    size_t more = pages - have;
    if (more < 4 && __builtin_wasm_memory_grow(0, 4) != (size_t)-1) return true; /* rarely, then */
    return __builtin_wasm_memory_grow(0, more) != (size_t)-1;
}

static uint8_t *kai_heap_(void) { return (uint8_t *)kai_align_((size_t)&__heap_base); }

static void kai_begin_(void) {
    kai_free_ = kai_input_ ? kai_input_ + kai_input_room_ : kai_heap_();
    kai_has_error_ = false;
}

/* Ends the call, and says why in the gateway's log and to "kai plugin test". */
static void kai_die_(kai_bytes why) {
    kai_log(KAI_ERROR, why);
    __builtin_trap();
}

static uint8_t *kai_take_(size_t n) {
    if (n > 0x7fffffff || !kai_reach_((size_t)kai_free_, kai_align_(n))) kai_die_(KAI("out of memory"));
    uint8_t *p = kai_free_;
    kai_free_ += kai_align_(n);
    return p;
}

void *kai_alloc(size_t n) {
    uint8_t *p = kai_take_(n);
    __builtin_memset(p, 0, n);
    return p;
}

KAI_EXPORT(kai_abi_v1) int kai_export_abi_(void) { return 6; }

KAI_EXPORT(kai_buffer) uint8_t *kai_export_buffer_(size_t min) {
    uint8_t *at = kai_heap_();
    if (min > 0x7fffffff || !kai_reach_((size_t)at, kai_align_(min))) return NULL;
    if (kai_align_(min) > kai_input_room_) kai_input_room_ = kai_align_(min);
    return kai_input_ = at;
}

/* What a call needs of the options comes with its request. */
KAI_EXPORT(kai_configure) int kai_export_configure_(size_t options) { return (void)options, 0; }

/* ---- bytes ---- */

kai_bytes kai_of(const char *s) {
    size_t n = 0;
    if (s) while (s[n]) n++;
    return (kai_bytes){(const uint8_t *)s, n};
}

bool kai_equal(kai_bytes a, kai_bytes b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (a.at[i] != b.at[i]) return false;
    return true;
}

bool kai_is(kai_bytes b, const char *s) {
    for (size_t i = 0; i < b.len; i++)
        if (!s[i] || b.at[i] != (uint8_t)s[i]) return false;
    return !s[b.len];
}

static kai_bytes kai_slice_(kai_bytes b, size_t from, size_t to) { return (kai_bytes){b.at + from, to - from}; }

static uint8_t *kai_room_(kai_buf *t, size_t n) {
    if (n > t->room - t->len) {
        size_t room = kai_align_(t->len + n + t->room + 64);
        if (t->at && t->at + t->room == kai_free_) {
            kai_take_(room - t->room); /* it is the last thing allocated, so it grows where it is */
        } else {
            uint8_t *at = kai_take_(room);
            __builtin_memcpy(at, t->at, t->len);
            t->at = at;
        }
        t->room = room;
    }
    uint8_t *p = t->at + t->len;
    t->len += n;
    return p;
}

void kai_add(kai_buf *t, kai_bytes b) {
    if (b.len) __builtin_memcpy(kai_room_(t, b.len), b.at, b.len);
}

void kai_add_char(kai_buf *t, char c) { *kai_room_(t, 1) = (uint8_t)c; }

void kai_add_int(kai_buf *t, int64_t n) {
    uint8_t digits[20];
    size_t at = sizeof digits;
    uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do digits[--at] = (uint8_t)('0' + left % 10);
    while (left /= 10);
    if (n < 0) kai_add_char(t, '-');
    kai_add(t, (kai_bytes){digits + at, sizeof digits - at});
}

static void kai_add_rune_(kai_buf *t, uint32_t r) {
    if (r < 0x80) {
        kai_add_char(t, (char)r);
    } else if (r < 0x800) {
        uint8_t *p = kai_room_(t, 2);
        p[0] = (uint8_t)(0xc0 | r >> 6), p[1] = (uint8_t)(0x80 | (r & 63));
    } else if (r < 0x10000) {
        uint8_t *p = kai_room_(t, 3);
        p[0] = (uint8_t)(0xe0 | r >> 12), p[1] = (uint8_t)(0x80 | (r >> 6 & 63)), p[2] = (uint8_t)(0x80 | (r & 63));
    } else {
        uint8_t *p = kai_room_(t, 4);
        p[0] = (uint8_t)(0xf0 | r >> 18), p[1] = (uint8_t)(0x80 | (r >> 12 & 63));
        p[2] = (uint8_t)(0x80 | (r >> 6 & 63)), p[3] = (uint8_t)(0x80 | (r & 63));
    }
}

/* How many bytes the UTF-8 character at i has; 0 if there is none. */
static size_t kai_utf8_(kai_bytes b, size_t i) {
    uint8_t c = b.at[i], low = 0x80, high = 0xbf;
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (n > b.len - i) return 0;
    if (c == 0xe0) low = 0xa0;
    if (c == 0xed) high = 0x9f; /* no surrogates */
    if (c == 0xf0) low = 0x90;
    if (c == 0xf4) high = 0x8f;
    for (size_t k = 1; k < n; k++) {
        if (b.at[i + k] < low || b.at[i + k] > high) return 0;
        low = 0x80, high = 0xbf;
    }
    return n;
}

/* Adds bytes, each that is not UTF-8 as U+FFFD. */
static void kai_add_utf8_(kai_buf *t, kai_bytes b) {
    size_t from = 0, i = 0;
    while (i < b.len) {
        size_t n = kai_utf8_(b, i);
        if (n) {
            i += n;
            continue;
        }
        kai_add(t, kai_slice_(b, from, i));
        kai_add_rune_(t, 0xfffd);
        from = ++i;
    }
    kai_add(t, kai_slice_(b, from, i));
}

void kai_add_quoted(kai_buf *t, kai_bytes b) {
    static const char hex[] = "0123456789abcdef";
    kai_add_char(t, '"');
    size_t from = 0; /* what is before is added */
    for (size_t i = 0; i < b.len; i++) {
        uint8_t c = b.at[i];
        if (c >= ' ' && c != '"' && c != '\\') continue;
        kai_add_utf8_(t, kai_slice_(b, from, i));
        from = i + 1;
        char letter = c == '"' || c == '\\' ? (char)c
                      : c == '\b' ? 'b' : c == '\f' ? 'f' : c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : 'u';
        kai_add_char(t, '\\');
        kai_add_char(t, letter);
        if (letter == 'u') {
            kai_add(t, KAI("00"));
            kai_add_char(t, hex[c >> 4]);
            kai_add_char(t, hex[c & 15]);
        }
    }
    kai_add_utf8_(t, kai_slice_(b, from, b.len));
    kai_add_char(t, '"');
}

/* ---- JSON ---- */

enum { kai_depth_ = 512 };

/* What goes over JSON and where it is. The first fault stops it. */
typedef struct {
    kai_bytes b;
    size_t i;
    bool escaped; /* the string passed last holds escapes */
    const char *fault;
} kai_scan;

static bool kai_wrong_(kai_scan *s, const char *why) {
    s->fault = s->i >= s->b.len ? "it ends too early" : why;
    return false;
}

/* The byte that comes next, or 0 behind the end: like any other control character,
 * 0 is an error wherever this is asked. */
static uint8_t kai_peek_(const kai_scan *s) { return s->i < s->b.len ? s->b.at[s->i] : 0; }

static void kai_space_(kai_scan *s) {
    while (s->i < s->b.len) {
        uint8_t c = s->b.at[s->i];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
        s->i++;
    }
}

static bool kai_digit_(uint8_t c) { return (uint8_t)(c - '0') <= 9; }

static int kai_hex_(uint8_t c) {
    if (kai_digit_(c)) return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Passes the escape that begins here. */
static bool kai_scan_escape_(kai_scan *s) {
    s->i++;
    switch (kai_peek_(s)) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        s->i++;
        return true;
    case 'u':
        s->i++;
        for (int k = 0; k < 4; k++, s->i++)
            if (kai_hex_(kai_peek_(s)) < 0) return kai_wrong_(s, "malformed escape in a string");
        return true;
    }
    return kai_wrong_(s, "malformed escape in a string");
}

/* Passes the rest of a string behind its opening quote.
 *
 * It looks at 8 bytes at a time. In stop, the highest bit of a byte is set where the
 * byte is a quote, a backslash or a control character; the borrow of a subtraction
 * can set bits too many, but only above the first right one. */
static bool kai_scan_string_(kai_scan *s) {
    const uint64_t low = 0x0101010101010101, high = 0x8080808080808080;
    s->escaped = false;
    for (;;) {
        while (s->b.len - s->i >= 8) {
            uint64_t w;
            __builtin_memcpy(&w, s->b.at + s->i, 8);
            uint64_t quote = w ^ low * '"', backslash = w ^ low * '\\';
            uint64_t stop = high & (((quote - low) & ~quote) | ((backslash - low) & ~backslash) | ((w - low * ' ') & ~w));
            if (stop) {
                s->i += (size_t)__builtin_ctzll(stop) / 8;
                break;
            }
            s->i += 8;
        }
        if (s->i >= s->b.len) return kai_wrong_(s, "");
        uint8_t c = s->b.at[s->i];
        if (c == '"') {
            s->i++;
            return true;
        }
        if (c == '\\') {
            s->escaped = true;
            if (!kai_scan_escape_(s)) return false;
        } else if (c < ' ') {
            return kai_wrong_(s, "control character in a string");
        } else {
            s->i++; /* one of the last seven bytes */
        }
    }
}

static bool kai_scan_word_(kai_scan *s, const char *word) {
    size_t i = s->i;
    for (size_t k = 0; word[k]; k++) {
        if (i + k >= s->b.len) s->i = i + k;
        if (i + k >= s->b.len || s->b.at[i + k] != (uint8_t)word[k]) return kai_wrong_(s, "expected true, false or null");
    }
    for (; *word; word++) s->i++;
    return true;
}

/* Passes one digit or more. */
static bool kai_scan_digits_(kai_scan *s) {
    if (!kai_digit_(kai_peek_(s))) return kai_wrong_(s, "malformed number");
    while (kai_digit_(kai_peek_(s))) s->i++;
    return true;
}

/* Passes a number as RFC 8259 has it. */
static bool kai_scan_number_(kai_scan *s) {
    if (kai_peek_(s) == '-') s->i++;
    if (kai_peek_(s) == '0') s->i++;
    else if (!kai_scan_digits_(s)) return false;
    if (kai_peek_(s) == '.') {
        s->i++;
        if (!kai_scan_digits_(s)) return false;
    }
    if ((kai_peek_(s) | 0x20) == 'e') {
        s->i++;
        if (kai_peek_(s) == '+' || kai_peek_(s) == '-') s->i++;
        if (!kai_scan_digits_(s)) return false;
    }
    return true;
}

/* Passes a value that is neither an object nor an array. */
static bool kai_scan_flat_(kai_scan *s) {
    uint8_t c = kai_peek_(s);
    switch (c) {
    case '"':
        s->i++;
        return kai_scan_string_(s);
    case 't': return kai_scan_word_(s, "true");
    case 'f': return kai_scan_word_(s, "false");
    case 'n': return kai_scan_word_(s, "null");
    }
    if (c == '-' || kai_digit_(c)) return kai_scan_number_(s);
    return kai_wrong_(s, "expected a value");
}

/* Passes a key and its colon, up to where the value begins. */
static bool kai_scan_key_(kai_scan *s, kai_bytes *inside) {
    if (kai_peek_(s) != '"') return kai_wrong_(s, "expected a key in quotes");
    size_t from = ++s->i;
    if (!kai_scan_string_(s)) return false;
    if (inside) *inside = kai_slice_(s->b, from, s->i - 1);
    kai_space_(s);
    if (kai_peek_(s) != ':') return kai_wrong_(s, "expected a colon after the key");
    s->i++;
    kai_space_(s);
    return true;
}

/* Passes the value that begins here, which depth objects and arrays enclose. It
 * keeps a bit for each one that is open instead of calling itself: foreign bytes
 * must not decide how deep the stack grows. */
static bool kai_scan_value_(kai_scan *s, size_t depth) {
    uint8_t c = kai_peek_(s);
    if (c != '{' && c != '[') return kai_scan_flat_(s);
    uint64_t objects[kai_depth_ / 64];
    size_t open = 0;
    for (;;) {
        c = kai_peek_(s);
        if (c == '{' || c == '[') {
            if (depth + open >= kai_depth_) return kai_wrong_(s, "nested more than 512 deep");
            uint64_t *word = &objects[open / 64], bit = (uint64_t)1 << open % 64;
            open++;
            s->i++;
            kai_space_(s);
            if (c == '{') {
                *word |= bit;
                if (kai_peek_(s) != '}') {
                    if (!kai_scan_key_(s, NULL)) return false;
                    continue;
                }
            } else {
                *word &= ~bit;
                if (kai_peek_(s) != ']') continue;
            }
        } else {
            if (!kai_scan_flat_(s)) return false;
            kai_space_(s);
        }
        /* A value ended before, or the bracket here closes an empty one. */
        for (;;) {
            bool is_object = objects[(open - 1) / 64] >> (open - 1) % 64 & 1;
            c = kai_peek_(s);
            if (c == (is_object ? '}' : ']')) {
                s->i++;
                if (!--open) return true;
                kai_space_(s);
                continue;
            }
            if (c != ',')
                return kai_wrong_(s, is_object ? "expected a comma or the end of the object"
                                               : "expected a comma or the end of the array");
            s->i++;
            kai_space_(s);
            if (is_object && !kai_scan_key_(s, NULL)) return false;
            break;
        }
    }
}

/* Checks that only white space is left. */
static bool kai_scan_end_(kai_scan *s) {
    kai_space_(s);
    return s->i == s->b.len || kai_wrong_(s, "something follows the value");
}

static kai_fault kai_fault_(const kai_scan *s) { return (kai_fault){s->fault ? s->i : 0, s->fault}; }

static kai_kind kai_kind_by_(uint8_t c) {
    switch (c) {
    case 'n': return KAI_NULL;
    case 't': case 'f': return KAI_BOOL;
    case '"': return KAI_STRING;
    case '[': return KAI_ARRAY;
    case '{': return KAI_OBJECT;
    }
    return c == '-' || kai_digit_(c) ? KAI_NUMBER : KAI_ABSENT;
}

kai_kind kai_kind_of(kai_json v) {
    kai_scan s = {.b = v};
    kai_space_(&s);
    return kai_kind_by_(kai_peek_(&s));
}

kai_fault kai_check(kai_json v) {
    kai_scan s = {.b = v};
    kai_space_(&s);
    if (kai_scan_value_(&s, 0)) kai_scan_end_(&s);
    return kai_fault_(&s);
}

static kai_bytes kai_trim_(kai_json v) {
    kai_scan s = {.b = v};
    kai_space_(&s);
    v = kai_slice_(v, s.i, v.len);
    while (v.len) {
        uint8_t c = v.at[v.len - 1];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') break;
        v.len--;
    }
    return v;
}

bool kai_bool(kai_json v, bool *value) {
    v = kai_trim_(v);
    bool yes = kai_is(v, "true");
    if (!yes && !kai_is(v, "false")) return false;
    *value = yes;
    return true;
}

/* Makes n ten times itself and adds a digit; false if that is too much. */
static bool kai_times_ten_(uint64_t *n, uint64_t digit) {
    if (*n > (UINT64_MAX - digit) / 10) return false;
    *n = *n * 10 + digit;
    return true;
}

bool kai_int(kai_json v, int64_t *value) {
    kai_scan s = {.b = kai_trim_(v)};
    if (!kai_scan_number_(&s) || s.i != s.b.len) return false;
    /* The number is digits × 10^exponent; zeros that end the digits so far are only
     * counted, so that they cannot overflow. */
    bool negative = s.b.at[0] == '-', fraction = false;
    uint64_t digits = 0;
    int64_t zeros = 0, exponent = 0;
    for (size_t i = negative; i < s.b.len; i++) {
        uint8_t c = s.b.at[i];
        if (c == '.') {
            fraction = true;
            continue;
        }
        if ((c | 0x20) == 'e') {
            int64_t n = 0; /* counted not far beyond any exponent that matters */
            bool below = s.b.at[i + 1] == '-';
            for (i++; i < s.b.len; i++)
                if (kai_digit_(s.b.at[i]) && n < 1 << 30) n = n * 10 + (s.b.at[i] - '0');
            exponent += below ? -n : n;
            break;
        }
        if (c == '0') {
            zeros++;
        } else {
            for (; zeros && digits; zeros--)
                if (!kai_times_ten_(&digits, 0)) return false;
            zeros = 0;
            if (!kai_times_ten_(&digits, (uint64_t)(c - '0'))) return false;
        }
        if (fraction) exponent--;
    }
    exponent += zeros;
    if (digits) {
        if (exponent < 0) return false;
        for (; exponent; exponent--)
            if (!kai_times_ten_(&digits, 0)) return false;
    }
    if (digits > (uint64_t)INT64_MAX + negative) return false;
    *value = (int64_t)(negative ? 0 - digits : digits);
    return true;
}

/* The inside of a value that is exactly one string. */
static bool kai_literal_(kai_json v, kai_bytes *inside, bool *escaped) {
    kai_scan s = {.b = kai_trim_(v), .i = 1};
    if (s.b.len < 2 || s.b.at[0] != '"' || !kai_scan_string_(&s) || s.i != s.b.len) return false;
    *inside = kai_slice_(s.b, 1, s.b.len - 1);
    *escaped = s.escaped;
    return true;
}

bool kai_raw_string(kai_json v, kai_bytes *inside) {
    bool escaped;
    return kai_literal_(v, inside, &escaped);
}

bool kai_inside(kai_json v, kai_bytes *inside) {
    if (v.len < 2 || v.at[0] != '"') return false;
    *inside = kai_slice_(v, 1, v.len - 1);
    return true;
}

bool kai_string(kai_json v, kai_bytes *value) {
    kai_bytes inside;
    bool escaped;
    if (!kai_literal_(v, &inside, &escaped)) return false;
    for (size_t i = 0; !escaped && i < inside.len;) {
        size_t n = kai_utf8_(inside, i);
        if (!n) escaped = true;
        i += n;
    }
    *value = escaped ? kai_unquote(inside) : inside;
    return true;
}

/* The value of the \uXXXX at i, or -1. */
static int32_t kai_unit_(kai_bytes b, size_t i) {
    if (b.len - i < 6 || b.at[i] != '\\' || b.at[i + 1] != 'u') return -1;
    int32_t unit = 0;
    for (size_t k = i + 2; k < i + 6; k++) {
        int digit = kai_hex_(b.at[k]);
        if (digit < 0) return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

kai_bytes kai_unquote(kai_bytes inside) {
    kai_buf t = {0};
    size_t from = 0; /* what is before is added */
    for (size_t i = 0; i < inside.len;) {
        kai_scan s = {.b = inside, .i = i};
        if (inside.at[i] != '\\' || !kai_scan_escape_(&s)) {
            i++;
            continue;
        }
        kai_add_utf8_(&t, kai_slice_(inside, from, i));
        size_t end = s.i;
        int32_t r = inside.at[i + 1];
        switch (r) {
        case 'b': r = '\b'; break;
        case 'f': r = '\f'; break;
        case 'n': r = '\n'; break;
        case 'r': r = '\r'; break;
        case 't': r = '\t'; break;
        case 'u':
            r = kai_unit_(inside, i);
            if (r >= 0xd800 && r < 0xe000) {
                int32_t second = kai_unit_(inside, end);
                if (r < 0xdc00 && second >= 0xdc00 && second < 0xe000) {
                    r = 0x10000 + ((r - 0xd800) << 10) + (second - 0xdc00);
                    end += 6;
                } else {
                    r = 0xfffd;
                }
            }
        }
        kai_add_rune_(&t, (uint32_t)r);
        i = from = end;
    }
    kai_add_utf8_(&t, kai_slice_(inside, from, inside.len));
    return kai_added(&t);
}

enum { kai_first_, kai_within_, kai_over_ };

static kai_walk kai_open_(kai_json v, uint8_t open, uint8_t close, const char *why) {
    kai_scan s = {.b = v};
    kai_walk w = {.all_ = v, .bracket_ = close};
    kai_space_(&s);
    uint8_t c = kai_peek_(&s);
    if (c == open) {
        s.i++;
    } else {
        w.place_ = kai_over_;
        if (s.i < v.len) {
            if (c != 'n') kai_wrong_(&s, why);
            else if (kai_scan_word_(&s, "null")) kai_scan_end_(&s);
        }
    }
    w.at_ = s.i;
    w.fault = kai_fault_(&s);
    return w;
}

kai_walk kai_object(kai_json v) { return kai_open_(v, '{', '}', "expected an object"); }
kai_walk kai_array(kai_json v) { return kai_open_(v, '[', ']', "expected an array"); }

/* Goes over the next field or element; false at the end and at a fault. */
static bool kai_advance_(kai_walk *w, kai_scan *s) {
    bool is_object = w->bracket_ == '}';
    kai_space_(s);
    uint8_t c = kai_peek_(s);
    if (c == w->bracket_) {
        s->i++;
        kai_scan_end_(s);
        return false;
    }
    if (w->place_ == kai_within_) {
        if (c != ',')
            return kai_wrong_(s, is_object ? "expected a comma or the end of the object"
                                           : "expected a comma or the end of the array");
        s->i++;
        kai_space_(s);
    }
    w->place_ = kai_within_;
    if (is_object) {
        if (!kai_scan_key_(s, &w->key)) return false;
    }
    bool escaped = s->escaped;
    size_t from = s->i;
    if (!kai_scan_value_(s, 1)) return false;
    if (is_object && escaped) w->key = kai_unquote(w->key);
    w->value = kai_slice_(s->b, from, s->i);
    return true;
}

bool kai_next(kai_walk *w) {
    if (w->place_ == kai_over_) return false;
    kai_scan s = {.b = w->all_, .i = w->at_};
    bool more = kai_advance_(w, &s);
    w->at_ = s.i;
    if (!more) {
        w->place_ = kai_over_;
        w->key = w->value = (kai_bytes){0};
        w->fault = kai_fault_(&s);
    }
    return more;
}

/* ---- readers ---- */

/* Where a reader is: before the current value, which was not read yet, or behind it,
 * behind the opening bracket, or at the end. */
enum { kai_at_before_, kai_at_behind_, kai_at_first_, kai_at_done_ };

kai_reader kai_read(kai_json v) {
    kai_scan s = {.b = v};
    kai_space_(&s);
    return (kai_reader){.all_ = v, .start_ = s.i};
}

/* Ends the reading with the fault of s, if there is one. */
static bool kai_read_stop_(kai_reader *r, const kai_scan *s) {
    r->place_ = kai_at_done_;
    r->fault = kai_fault_(s);
    return false;
}

/* Goes behind what was read, which ends before i, and checks that only white space
 * follows the outermost value. */
static bool kai_read_behind_(kai_reader *r, size_t i) {
    r->at_ = i;
    r->place_ = kai_at_behind_;
    kai_scan s = {.b = r->all_, .i = i};
    return r->depth_ > 0 || kai_scan_end_(&s) || kai_read_stop_(r, &s);
}

/* Reads and checks the current value. */
static bool kai_read_pass_(kai_reader *r) {
    kai_scan s = {.b = r->all_, .i = r->start_};
    if (!kai_scan_value_(&s, (size_t)r->depth_)) return kai_read_stop_(r, &s);
    return kai_read_behind_(r, s.i);
}

static int kai_read_enter_(kai_reader *r, uint8_t bracket, const char *why) {
    if (r->place_ != kai_at_before_) return 0;
    kai_scan s = {.b = r->all_, .i = r->start_};
    uint8_t c = kai_peek_(&s);
    if (c == bracket && r->depth_ < kai_depth_) {
        uint64_t *word = &r->objects_[r->depth_ / 64], bit = (uint64_t)1 << r->depth_ % 64;
        r->is_object_ = c == '{';
        *word = r->is_object_ ? *word | bit : *word & ~bit;
        r->at_ = r->start_ + 1;
        r->place_ = kai_at_first_;
        return ++r->depth_;
    }
    if (c == 'n') {
        kai_read_pass_(r);
        return 0;
    }
    if (s.i < s.b.len || r->depth_ > 0) kai_wrong_(&s, c == bracket ? "nested more than 512 deep" : why);
    kai_read_stop_(r, &s);
    return 0;
}

int kai_read_object(kai_reader *r) { return kai_read_enter_(r, '{', "expected an object"); }
int kai_read_array(kai_reader *r) { return kai_read_enter_(r, '[', "expected an array"); }

/* Goes to the next field or element of the innermost object or array. At its end, that
 * is closed. */
static bool kai_read_step_(kai_reader *r) {
    if (r->place_ == kai_at_before_ && !kai_read_pass_(r)) return false;
    kai_scan s = {.b = r->all_, .i = r->at_};
    kai_space_(&s);
    uint8_t c = kai_peek_(&s);
    if (c == (r->is_object_ ? '}' : ']')) {
        int left = --r->depth_;
        if (left > 0) r->is_object_ = r->objects_[(left - 1) / 64] >> (left - 1) % 64 & 1;
        r->start_ = s.i + 1;
        kai_read_behind_(r, s.i + 1);
        return false;
    }
    if (r->place_ != kai_at_first_) {
        if (c != ',') {
            kai_wrong_(&s, r->is_object_ ? "expected a comma or the end of the object"
                                         : "expected a comma or the end of the array");
            return kai_read_stop_(r, &s);
        }
        s.i++;
        kai_space_(&s);
    }
    if (r->is_object_) {
        if (!kai_scan_key_(&s, &r->key)) return kai_read_stop_(r, &s);
        if (s.escaped) r->key = kai_unquote(r->key);
    }
    r->start_ = s.i;
    r->place_ = kai_at_before_;
    return true;
}

bool kai_read_next(kai_reader *r, int in) {
    if (in == 0 || r->depth_ < in || r->place_ == kai_at_done_) return false;
    while (r->depth_ > in) {
        while (kai_read_step_(r)) {}
        if (r->place_ == kai_at_done_) return false;
    }
    return kai_read_step_(r);
}

kai_kind kai_read_kind(const kai_reader *r) {
    kai_scan s = {.b = r->all_, .i = r->start_};
    return r->place_ == kai_at_before_ || r->place_ == kai_at_behind_ ? kai_kind_by_(kai_peek_(&s)) : KAI_ABSENT;
}

kai_json kai_read_value(kai_reader *r) {
    if ((r->place_ == kai_at_before_ && !kai_read_pass_(r)) || r->place_ != kai_at_behind_) return (kai_json){0};
    return kai_slice_(r->all_, r->start_, r->at_);
}

kai_json kai_get(kai_json v, const char *key) {
    kai_walk w = kai_object(v);
    while (kai_next(&w))
        if (kai_is(w.key, key)) return w.value;
    return (kai_json){0};
}

/* Writes the comma before a key or value that needs one. */
static void kai_separate_(kai_writer *w) {
    if (w->comma_) kai_add_char(&w->text, ',');
    w->comma_ = true;
}

static void kai_write_begin_(kai_writer *w, char bracket, uint64_t object) {
    if (w->open_ == 64) kai_die_(KAI("kai_writer: more than 64 objects and arrays are open"));
    kai_separate_(w);
    kai_add_char(&w->text, bracket);
    w->objects_ = (w->objects_ & ~((uint64_t)1 << w->open_)) | object << w->open_;
    w->open_++;
    w->comma_ = false;
}

void kai_write_object(kai_writer *w) { kai_write_begin_(w, '{', 1); }
void kai_write_array(kai_writer *w) { kai_write_begin_(w, '[', 0); }

void kai_write_end(kai_writer *w) {
    if (!w->open_) kai_die_(KAI("kai_write_end: nothing is open"));
    w->open_--;
    kai_add_char(&w->text, w->objects_ >> w->open_ & 1 ? '}' : ']');
    w->comma_ = true;
}

void kai_write_key(kai_writer *w, const char *key) {
    kai_separate_(w);
    kai_add_quoted(&w->text, kai_of(key));
    kai_add_char(&w->text, ':');
    w->comma_ = false;
}

void kai_write_string(kai_writer *w, kai_bytes s) {
    kai_separate_(w);
    kai_add_quoted(&w->text, s);
}

void kai_write_raw_string(kai_writer *w, kai_bytes inside) {
    kai_separate_(w);
    kai_add_char(&w->text, '"');
    kai_add(&w->text, inside);
    kai_add_char(&w->text, '"');
}

void kai_write_raw(kai_writer *w, kai_json v) {
    kai_separate_(w);
    kai_add(&w->text, v.len ? v : KAI("null"));
}

void kai_write_int(kai_writer *w, int64_t n) {
    kai_separate_(w);
    kai_add_int(&w->text, n);
}

void kai_write_bool(kai_writer *w, bool b) { kai_write_raw(w, b ? KAI("true") : KAI("false")); }
void kai_write_null(kai_writer *w) { kai_write_raw(w, (kai_json){0}); }

/* ---- OpenAI's requests ---- */

bool kai_next_message(kai_walk *w, kai_message *m) {
    if (!kai_next(w)) return false;
    *m = (kai_message){.raw = w->value};
    kai_json second = {0};
    kai_walk f = kai_object(w->value);
    while (kai_next(&f)) {
        if (kai_kind_of(f.value) == KAI_NULL) continue;
        if (kai_is(f.key, "role")) kai_string(f.value, &m->role);
        else if (kai_is(f.key, "content")) m->content = f.value;
        else if (kai_is(f.key, "name")) m->name = f.value;
        else if (kai_is(f.key, "tool_calls")) m->tool_calls = f.value;
        else if (kai_is(f.key, "tool_call_id")) m->tool_call_id = f.value;
        else if (kai_is(f.key, "reasoning")) m->reasoning = f.value;
        else if (kai_is(f.key, "reasoning_content")) second = f.value;
    }
    if (!m->reasoning.len) m->reasoning = second;
    return true;
}

/* A walk over a string is over a sequence of one, which no bracket opens. */
kai_walk kai_parts(kai_json content) {
    if (kai_kind_of(content) == KAI_STRING) return (kai_walk){.all_ = content, .bracket_ = '"'};
    return kai_array(content);
}

bool kai_next_part(kai_walk *w, kai_part *p) {
    if (w->bracket_ == '"') {
        if (w->place_ == kai_over_) return false;
        w->place_ = kai_over_;
        *p = (kai_part){.type = KAI("text"), .text = w->all_, .raw = w->all_};
        return true;
    }
    if (!kai_next(w)) return false;
    *p = (kai_part){.raw = w->value};
    kai_walk f = kai_object(w->value);
    while (kai_next(&f)) {
        if (kai_is(f.key, "type")) kai_string(f.value, &p->type);
        else if (kai_is(f.key, "text") || kai_is(f.key, "refusal")) p->text = f.value;
        else if (kai_is(f.key, "image_url")) p->url = kai_kind_of(f.value) == KAI_OBJECT ? kai_get(f.value, "url") : f.value;
        else if (kai_is(f.key, "input_audio")) p->data = kai_get(f.value, "data");
        else if (kai_is(f.key, "file")) p->data = kai_get(f.value, "file_data");
    }
    return true;
}

bool kai_next_tool_call(kai_walk *w, kai_tool_call *c) {
    if (!kai_next(w)) return false;
    kai_json function = kai_get(w->value, "function");
    *c = (kai_tool_call){
        .id = kai_get(w->value, "id"), .name = kai_get(function, "name"),
        .arguments = kai_get(function, "arguments"), .raw = w->value,
    };
    return true;
}

static uint8_t kai_lower_(uint8_t c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; }

static bool kai_has_at_(kai_bytes b, size_t i, const char *lower) {
    for (; *lower; lower++, i++)
        if (i >= b.len || kai_lower_(b.at[i]) != (uint8_t)*lower) return false;
    return true;
}

bool kai_split_data_url(kai_bytes inside, kai_bytes *media_type, kai_bytes *base64) {
    const size_t scheme = 5, marker = 8;
    if (!kai_has_at_(inside, 0, "data:")) return false;
    for (size_t i = scheme; i < inside.len && i < scheme + 256; i++) {
        if (!kai_has_at_(inside, i, ";base64,")) continue;
        kai_buf t = {0};
        for (size_t k = scheme; k < i; k++) /* of JSON's escapes media types meet one: image\/png */
            if (inside.at[k] != '\\' || k + 1 == i || inside.at[k + 1] != '/') kai_add_char(&t, (char)kai_lower_(inside.at[k]));
        *media_type = kai_added(&t);
        *base64 = kai_slice_(inside, i + marker, inside.len);
        return true;
    }
    return false;
}

/* ---- the calls ---- */

kai_bytes kai_head(kai_bytes head, const char *name) {
    kai_bytes wanted = kai_of(name);
    for (size_t i = 0; i < head.len;) {
        size_t end = i, colon = 0;
        for (; end < head.len && head.at[end] != '\n'; end++)
            if (!colon && head.at[end] == ':') colon = end;
        if (colon && kai_equal(kai_slice_(head, i, colon), wanted)) {
            while (++colon < end && head.at[colon] == ' ') {}
            while (end > colon && head.at[end - 1] == ' ') end--;
            return kai_slice_(head, colon, end);
        }
        i = end + 1;
    }
    return (kai_bytes){0};
}

/* Gives the next section of a call. */
static kai_bytes kai_section_(size_t *at, size_t len) {
    kai_bytes b = {kai_input_ + *at, len};
    *at += kai_align_(len);
    return b;
}

static void kai_load_(size_t before, void *state, size_t size) {
    kai_begin_();
    kai_before_ = before;
    __builtin_memset(state, 0, size);
    __builtin_memcpy(state, kai_input_, before < size ? before : size);
}

kai_request kai_request_(int op, int flags, size_t options, size_t body, void *state, size_t size) {
    kai_load_(0, state, size);
    size_t at = 0;
    kai_request r = {.op = (kai_op)op, .stream = flags & 1};
    r.options = kai_section_(&at, options);
    r.body = kai_section_(&at, body);
    return r;
}

kai_response kai_response_(int op, int status, size_t before, size_t head, size_t body, void *state, size_t size) {
    kai_load_(before, state, size);
    size_t at = kai_align_(before);
    kai_response r = {.op = (kai_op)op, .status = status};
    r.head = kai_section_(&at, head);
    r.body = kai_section_(&at, body);
    return r;
}

kai_event kai_event_(int op, int flags, size_t before, size_t name, size_t data, void *state, size_t size) {
    kai_load_(before, state, size);
    size_t at = kai_align_(before);
    kai_event e = {.op = (kai_op)op, .end = flags & 1, .done = flags & 2};
    e.name = kai_section_(&at, name);
    e.data = kai_section_(&at, data);
    return e;
}

/* ---- emissions ---- */

__attribute__((import_module("kai_v1"), import_name("emit"))) int kai_emit_one_(int kind, int at, const uint8_t *p, size_t n);
__attribute__((import_module("kai_v1"), import_name("emit_all"))) int kai_emit_all_(const void *records, size_t n);
__attribute__((import_module("kai_v1"), import_name("log"))) void kai_log_(int level, const uint8_t *p, size_t n);

enum { /* as docs/abi.md numbers them */
    kai_MANIFEST = 1, kai_REQUEST, kai_BODY, kai_STATE, kai_WAIT, kai_NEXT,
    kai_TEXT = 16, kai_REASONING, kai_REFUSAL, kai_TOOL_ID, kai_TOOL_NAME, kai_TOOL_ARGS, kai_LOGPROBS, kai_TOOL_EXTRA,
    kai_DELTA_EXTRA, kai_CHOICE_EXTRA, kai_CHUNK_EXTRA, kai_USAGE, kai_FINISH, kai_ERROR, kai_RESULT, kai_END,
    kai_REASONING_DETAIL, kai_SIGNATURE, kai_TOOL_SIGNATURE, kai_CITATION, kai_STOP_REASON, kai_PASS,
    kai_RAW = 128
};

/* The emissions of a call are collected, so that one call of the gateway takes them all:
 * crossing the boundary costs more than most emissions do. */
enum { kai_RECORDS_ = 128, kai_COPIES_ = 4096 };

static struct {
    int kind, at;
    const uint8_t *p;
    size_t n;
} kai_records_[kai_RECORDS_];

static size_t kai_collected_;
static uint8_t kai_copies_[kai_COPIES_]; /* payloads that the adapter may overwrite */
static size_t kai_copied_;

/* Gives the gateway what was collected. What it refuses fails the call, whatever the
 * adapter does then. */
static void kai_flush_(void) {
    if (kai_collected_) kai_emit_all_(kai_records_, kai_collected_);
    kai_collected_ = kai_copied_ = 0;
}

/* States a fact. The payload is copied, unless it is a part of the call's input, which
 * stays as it is until the call returns. */
static void kai_emit_(int kind, int at, const uint8_t *p, size_t n) {
    bool copied = n && !(kai_input_ && p >= kai_input_ && p < kai_input_ + kai_input_room_);
    if (copied && n > kai_COPIES_) {
        kai_flush_();
        kai_emit_one_(kind, at, p, n);
        return;
    }
    if (kai_collected_ == kai_RECORDS_ || (copied && n > kai_COPIES_ - kai_copied_)) kai_flush_();
    if (copied) {
        p = __builtin_memcpy(kai_copies_ + kai_copied_, p, n);
        kai_copied_ += n;
    }
    kai_records_[kai_collected_].kind = kind;
    kai_records_[kai_collected_].at = at;
    kai_records_[kai_collected_].p = p;
    kai_records_[kai_collected_++].n = n;
}

static void kai_state_fact_(int kind, unsigned choice, unsigned item, kai_bytes b) {
    kai_emit_(kind, (int)(choice << 16 | (item & 0xffff)), b.at, b.len);
}

static void kai_some_(int kind, unsigned choice, unsigned item, kai_bytes b) {
    if (b.len) kai_state_fact_(kind, choice, item, b);
}

void kai_send(const kai_upstream *u) {
    if (u->wait_ms) kai_emit_(kai_WAIT, (int)u->wait_ms, NULL, 0);
    kai_buf t = {0};
    kai_add(&t, u->method ? kai_of(u->method) : KAI("POST"));
    kai_add_char(&t, ' ');
    kai_add(&t, u->path);
    kai_add_char(&t, '\n');
    kai_add(&t, u->headers);
    if (u->body.at && !kai_head(u->headers, "content-type").at) kai_add(&t, KAI("content-type: application/json\n"));
    kai_emit_(kai_REQUEST, (int)u->framing, t.at, t.len);
    kai_some_(kai_BODY, 0, 0, u->body);
}

void kai_wait(uint32_t ms) { kai_emit_(kai_WAIT, (int)ms, NULL, 0); }
void kai_text(unsigned choice, kai_bytes text) { kai_some_(kai_TEXT, choice, 0, text); }
void kai_text_json(unsigned choice, kai_bytes inside) { kai_some_(kai_TEXT | kai_RAW, choice, 0, inside); }
void kai_reasoning(unsigned choice, kai_bytes text) { kai_some_(kai_REASONING, choice, 0, text); }
void kai_reasoning_json(unsigned choice, kai_bytes inside) { kai_some_(kai_REASONING | kai_RAW, choice, 0, inside); }
void kai_refusal(unsigned choice, kai_bytes text) { kai_some_(kai_REFUSAL, choice, 0, text); }
void kai_refusal_json(unsigned choice, kai_bytes inside) { kai_some_(kai_REFUSAL | kai_RAW, choice, 0, inside); }
void kai_tool_id(unsigned choice, unsigned call, kai_bytes id) { kai_state_fact_(kai_TOOL_ID, choice, call, id); }
void kai_tool_name(unsigned choice, unsigned call, kai_bytes name) { kai_state_fact_(kai_TOOL_NAME, choice, call, name); }
void kai_tool_args(unsigned choice, unsigned call, kai_bytes text) { kai_some_(kai_TOOL_ARGS, choice, call, text); }
void kai_tool_args_json(unsigned choice, unsigned call, kai_bytes inside) {
    kai_some_(kai_TOOL_ARGS | kai_RAW, choice, call, inside);
}
void kai_tool_extra(unsigned choice, unsigned call, kai_json object) { kai_state_fact_(kai_TOOL_EXTRA, choice, call, object); }
void kai_tool_signature(unsigned choice, unsigned call, kai_bytes text) { kai_some_(kai_TOOL_SIGNATURE, choice, call, text); }
void kai_tool_signature_json(unsigned choice, unsigned call, kai_bytes inside) {
    kai_some_(kai_TOOL_SIGNATURE | kai_RAW, choice, call, inside);
}
void kai_reasoning_detail(unsigned choice, kai_json object) { kai_state_fact_(kai_REASONING_DETAIL, choice, 0, object); }
void kai_signature(unsigned choice, kai_bytes text) { kai_some_(kai_SIGNATURE, choice, 0, text); }
void kai_signature_json(unsigned choice, kai_bytes inside) { kai_some_(kai_SIGNATURE | kai_RAW, choice, 0, inside); }
void kai_citation(unsigned choice, kai_json object) { kai_state_fact_(kai_CITATION, choice, 0, object); }
void kai_stop_reason(unsigned choice, kai_bytes word) { kai_some_(kai_STOP_REASON, choice, 0, word); }
void kai_stop_reason_json(unsigned choice, kai_bytes inside) { kai_some_(kai_STOP_REASON | kai_RAW, choice, 0, inside); }
void kai_logprobs(unsigned choice, kai_json array) { kai_state_fact_(kai_LOGPROBS, choice, 0, array); }
void kai_delta_extra(unsigned choice, kai_json object) { kai_state_fact_(kai_DELTA_EXTRA, choice, 0, object); }
void kai_choice_extra(unsigned choice, kai_json object) { kai_state_fact_(kai_CHOICE_EXTRA, choice, 0, object); }
void kai_chunk_extra(kai_json object) { kai_state_fact_(kai_CHUNK_EXTRA, 0, 0, object); }
void kai_usage(kai_json object) { kai_state_fact_(kai_USAGE, 0, 0, object); }
void kai_finish(unsigned choice, const char *reason) { kai_state_fact_(kai_FINISH, choice, 0, kai_of(reason)); }
void kai_end(void) { kai_state_fact_(kai_END, 0, 0, kai_of("")); }
void kai_result(kai_json json) { kai_state_fact_(kai_RESULT, 0, 0, json); }
void kai_pass(bool content) { kai_state_fact_(kai_PASS, 0, content ? 1 : 0, kai_of("")); }

void kai_tokens(int64_t prompt, int64_t completion) {
    kai_writer w = {0};
    kai_write_object(&w);
    kai_write_key(&w, "prompt_tokens");
    kai_write_int(&w, prompt);
    kai_write_key(&w, "completion_tokens");
    kai_write_int(&w, completion);
    kai_write_end(&w);
    kai_usage(kai_written(&w));
}

void kai_log(int level, kai_bytes text) { kai_log_(level, text.at, text.len); }

int kai_fail(kai_error e) {
    kai_error_ = e;
    kai_has_error_ = true;
    return KAI_FAILED;
}

/* Ends a call: what the exchange needs afterwards is the state, if it changed, and
 * the error. A state that is still zero needs no keeping. */
int kai_done_(int status, const void *state, size_t size) {
    kai_bytes after = {state, size};
    bool changed = kai_before_ != size;
    for (size_t i = 0; i < size; i++) changed = changed || after.at[i] != kai_input_[i];
    bool zero = !kai_before_;
    for (size_t i = 0; i < size; i++) zero = zero && !after.at[i];
    if (changed && !zero) kai_emit_(kai_STATE, 0, after.at, after.len);
    if (!kai_has_error_) return kai_flush_(), status;
    kai_writer w = {0};
    kai_write_object(&w);
    kai_write_key(&w, "status");
    kai_write_int(&w, kai_error_.status);
    if (kai_error_.type) kai_write_key(&w, "type"), kai_write_string(&w, kai_of(kai_error_.type));
    if (kai_error_.code) kai_write_key(&w, "code"), kai_write_string(&w, kai_of(kai_error_.code));
    if (kai_error_.param.len) kai_write_key(&w, "param"), kai_write_string(&w, kai_error_.param);
    kai_write_key(&w, "message");
    kai_write_string(&w, kai_error_.message);
    if (kai_error_.own) kai_write_key(&w, "own"), kai_write_string(&w, kai_of(kai_error_.own));
    if (kai_error_.retry_after_ms > 0) kai_write_key(&w, "retry_after_ms"), kai_write_int(&w, kai_error_.retry_after_ms);
    if (kai_error_.no_retry) kai_write_key(&w, "no_retry"), kai_write_bool(&w, true);
    kai_write_end(&w);
    kai_emit_(kai_ERROR, 0, w.text.at, w.text.len);
    kai_flush_();
    return KAI_FAILED;
}

kai_frames_state_ kai_frames_(int op, size_t before, size_t frames, void *state, size_t size) {
    kai_load_(before, state, size);
    size_t at = kai_align_(before);
    return (kai_frames_state_){op, kai_section_(&at, frames)};
}

kai_event kai_next_frame_(kai_frames_state_ *f) {
    const uint8_t *p = f->rest.at;
    size_t n = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    f->rest = (kai_bytes){p + 4 + n, f->rest.len - 4 - n};
    return (kai_event){.op = (kai_op)f->op, .data = {p + 4, n}};
}

bool kai_more_frames_(const kai_frames_state_ *f) {
    if (!f->rest.len) return false;
    kai_emit_(kai_NEXT, 0, NULL, 0);
    return true;
}

/* ---- the manifest ---- */

static void kai_write_field_(kai_writer *w, const char *key, const char *value) {
    if (!value || !*value) return;
    kai_write_key(w, key);
    kai_write_string(w, kai_of(value));
}

static void kai_write_list_(kai_writer *w, const char *key, const char *const *values) {
    kai_write_key(w, key);
    kai_write_array(w);
    for (; values && *values; values++) kai_write_string(w, kai_of(*values));
    kai_write_end(w);
}

int kai_emit_manifest_(const kai_manifest *m) {
    kai_begin_();
    kai_writer w = {0};
    kai_write_object(&w);
    kai_write_field_(&w, "name", m->name);
    kai_write_field_(&w, "version", m->version);
    kai_write_field_(&w, "license", m->license);
    kai_write_field_(&w, "homepage", m->homepage);
    kai_write_key(&w, "adapters");
    kai_write_array(&w);
    kai_write_object(&w);
    kai_write_field_(&w, "provider", m->provider);
    static const char *const chat[] = {"chat", NULL};
    kai_write_list_(&w, "ops", m->ops ? m->ops : chat);
    if (m->optional_ops) {
        kai_write_key(&w, "optional_ops");
        kai_write_object(&w);
        for (const char *const *p = m->optional_ops; *p; p += 2) kai_write_field_(&w, p[0], p[1]);
        kai_write_end(&w);
    }
    if (m->max_inputs) {
        kai_write_key(&w, "max_inputs");
        kai_write_object(&w);
        for (const kai_max_inputs *p = m->max_inputs; p->op; p++) {
            kai_write_key(&w, p->op);
            kai_write_int(&w, p->n);
        }
        kai_write_end(&w);
    }
    kai_write_list_(&w, "capabilities", m->capabilities);
    kai_write_field_(&w, "default_base_url", m->default_base_url);
    kai_write_field_(&w, "setup", m->setup);
    if (m->auth_header) {
        kai_write_key(&w, "auth");
        kai_write_object(&w);
        kai_write_field_(&w, "secret", m->auth_secret);
        kai_write_field_(&w, "header", m->auth_header);
        kai_write_field_(&w, "format", m->auth_format);
        kai_write_end(&w);
    }
    kai_write_field_(&w, "options", m->options);
    kai_write_key(&w, "plain_content");
    kai_write_bool(&w, m->plain_content);
    if (m->knows_models) {
        kai_write_key(&w, "knows_models");
        kai_write_bool(&w, true);
    }
    if (m->routing_fields || m->routing_tools) {
        kai_write_key(&w, "routing");
        kai_write_object(&w);
        kai_write_list_(&w, "fields", m->routing_fields);
        kai_write_list_(&w, "tools", m->routing_tools);
        kai_write_end(&w);
    }
    if (m->extensions) kai_write_list_(&w, "extensions", m->extensions);
    kai_write_end(&w);
    kai_write_end(&w);
    kai_write_end(&w);
    kai_emit_(kai_MANIFEST, 0, w.text.at, w.text.len);
    kai_flush_();
    return KAI_OK;
}

#pragma GCC visibility pop

#endif /* KAI_IMPLEMENTATION */
