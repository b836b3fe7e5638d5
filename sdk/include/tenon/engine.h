/* engine.h - "tenon.engine/1": what frontends and embedding programs use. One engine serves them all.
 *
 * A program that embeds Tenon links libtenon and starts with:
 *
 *     struct tenon_runtime *rt;
 *     tenon_runtime_create(NULL, &rt, &err);
 *     const struct tenon_engine *e = tenon_runtime_engine(rt);
 *     e->load(e->ctx, &load_args, &model, &err);
 *     e->submit(e->ctx, &request, &id, &err);      events arrive at request.on_event
 *     tenon_runtime_destroy(rt);
 *
 * A frontend plugin gets the same table in start() (frontend.h). Every call is [any-thread] unless said otherwise.
 */
#ifndef TENON_ENGINE_H
#define TENON_ENGINE_H

#include <tenon/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_ENGINE_SERVICE "tenon.engine/1"

struct tenon_loaded; /* a loaded model; opaque. Each load makes one of its own, which unload ends */

#define TENON_LOAD_PROFILE 1u /* have the backend record times per node; costs some clock readings */
#define TENON_LOAD_EMBED 2u   /* for embed() and no requests; models that can do nothing else are loaded so anyway */

/* How to load. Zero means: the default, chosen from model and machine. */
struct tenon_load_args {
    uint32_t struct_size;
    uint32_t context;       /* most tokens of one sequence; 0: what the model was trained for, cut to what memory allows */
    const char *path;       /* OWN: borrowed for the call. GGUF file, directory or package */
    const char *device;     /* "cpu", "cuda:0"; NULL: best */
    const char *name;       /* that requests will use; NULL: from the file */
    int32_t kv_encoding;    /* TENON_KV_* of backend.h; 0: f16 */
    uint32_t max_sequences; /* run in one step; 0: 1 */
    uint32_t max_tokens_per_step; /* prefill chunk; 0: default */
    uint32_t flags;         /* TENON_LOAD_* */
    /* Optional. Progress of a long load, 0..1, from the loading thread. Not 0: stop, load ends with CANCELLED. */
    int32_t (*progress)(void *arg, double fraction, const char *what);
    void *progress_arg;
};

struct tenon_loaded_info {
    uint32_t struct_size;
    uint32_t context;
    char name[128];
    char architecture[64];
    char device[64];
    char device_level[64];
    uint64_t vocab_size;
    uint64_t file_bytes;   /* of the tensors in the files */
    uint64_t weight_bytes; /* those, and copies of weights: packed_bytes and made_bytes */
    uint64_t state_bytes, scratch_bytes;
    uint64_t n_params;
    uint32_t max_sequences;
    uint32_t has_template; /* 0 or 1 */
    uint32_t act_bits; /* activations are integers of so many bits for quantised weights; 0: floats, or the backend does not say */
    uint32_t reserved;
    uint64_t packed_bytes; /* copies in the device's own order, there or to be: the file's pages of such weights are let go */
    uint64_t made_bytes;   /* copies that transforms and stored forms made, which are read as they are */
};

/* How to choose tokens. Applied in this order: penalties, temperature, top-k, top-p, min-p, draw. */
struct tenon_sampling {
    uint32_t struct_size;
    uint32_t reserved;
    float temperature;       /* 0: greedy */
    float top_p;             /* (0,1]; 0 or 1: off */
    float min_p;             /* [0,1]; 0: off */
    int32_t top_k;           /* 0: off */
    float repeat_penalty;    /* 0 or 1: off; divides positive and multiplies negative logits of seen tokens */
    float presence_penalty;  /* subtracted once from seen tokens; 0: off */
    float frequency_penalty; /* subtracted per occurrence; 0: off */
    int32_t penalty_last;    /* tokens looked back on, prompt included; 0: 64, -1: all */
    uint64_t seed;           /* Philox(seed, index of the output token) */
    uint32_t has_seed;       /* 0: the host draws one and reports it in the usage event */
    uint32_t logprobs;       /* most likely tokens reported per output token; 0: none */
};

#define TENON_PROMPT_TEXT 1     /* `prompt` as it is, BOS as the model wants it */
#define TENON_PROMPT_IDS 2      /* `ids`, nothing added */
#define TENON_PROMPT_MESSAGES 3 /* `prompt` is a JSON array of messages, rendered by the model's template */

/* Why a request ended. */
#define TENON_END_STOP 1      /* an end token or a stop string */
#define TENON_END_LENGTH 2    /* max_tokens or the context */
#define TENON_END_CANCELLED 3
#define TENON_END_ERROR 4

#define TENON_EVENT_TEXT 1      /* text [size]: whole UTF-8 characters */
#define TENON_EVENT_REASONING 2 /* text [size] of a reasoning section */
#define TENON_EVENT_TOOL_CALL 3 /* text [size]: JSON delta */
#define TENON_EVENT_TOKEN 4     /* token, and logprobs if asked; comes before the text it completes */
#define TENON_EVENT_USAGE 5     /* counts and times, once, before END */
#define TENON_EVENT_END 6       /* the last event; `end` says why; `status` and text [size] when END_ERROR */

struct tenon_logprob {
    int32_t token;
    float logprob; /* natural logarithm */
};

struct tenon_event_data {
    uint32_t struct_size;
    int32_t type;       /* TENON_EVENT_* */
    uint64_t request;
    const char *text;   /* [size] OWN: borrowed for the call */
    uint64_t size;
    int32_t token;
    float logprob;      /* of `token`, when logprobs were asked for */
    const struct tenon_logprob *top; /* [n_top] most likely first; OWN: borrowed for the call */
    uint32_t n_top;
    int32_t end;        /* TENON_END_* */
    int32_t status;
    uint32_t prompt_tokens, cached_tokens, output_tokens;
    double queue_s, prefill_s, first_token_s, decode_s; /* first_token_s: since submit */
    uint64_t seed;
};

struct tenon_request {
    uint32_t struct_size;
    int32_t prompt_kind;          /* TENON_PROMPT_* */
    struct tenon_loaded *model;
    const char *prompt;           /* [prompt_size] UTF-8. OWN: borrowed for the call, as all below */
    uint64_t prompt_size;
    const int32_t *ids;           /* [n_ids] */
    uint64_t n_ids;
    const char *template_vars;    /* JSON object merged into the template's variables (tools, enable_thinking), or NULL */
    struct tenon_sampling sampling;
    uint64_t max_tokens;          /* 0: up to the context */
    const struct tenon_str *stop; /* [n_stop] stop strings; not part of the text */
    uint32_t n_stop;
    uint32_t ignore_end;          /* 1: end tokens do not end it (measuring) */
    /* Called from the engine's thread, one call at a time per request, never after END. Must not block. Not 0: cancel. */
    int32_t (*on_event)(void *arg, const struct tenon_event_data *event);
    void *arg;
};

#define TENON_EMBED_RAW 1u /* not divided by its length, whatever the model's files say; else as they say, and if they do not, divided */

/* Texts to make vectors of. Each gets the special tokens the model wants around it, and is cut to the context. */
struct tenon_embed_args {
    uint32_t struct_size;
    int32_t pooling;               /* TENON_POOL_*; 0: the model's, or the mean */
    uint32_t flags;                /* TENON_EMBED_* */
    uint32_t n_texts;
    const struct tenon_str *texts; /* [n_texts] UTF-8. OWN: borrowed for the call */
    uint64_t *ret_cut;             /* [n_texts] how many tokens of each were cut off; NULL: nobody asks. OWN: caller */
};

struct tenon_engine_stats {
    uint32_t struct_size;
    uint32_t running, waiting;
    uint32_t reserved;
    uint64_t requests, prompt_tokens, output_tokens, steps;
    uint64_t kv_pages, kv_pages_used;
};

struct tenon_engine {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    int32_t (*load)(void *ctx, const struct tenon_load_args *args, struct tenon_loaded **ret, struct tenon_err *err);
    /* Ends the model's requests with CANCELLED first. NULL is allowed. */
    void (*unload)(void *ctx, struct tenon_loaded *model);
    /* i-th loaded model, NULL past the last. OWN: engine, until unload. */
    struct tenon_loaded *(*model_at)(void *ctx, uint32_t i);
    int32_t (*model_info)(void *ctx, struct tenon_loaded *model, struct tenon_loaded_info *ret);
    /* [no-block] Queue a request. Bad arguments (prompt longer than the context, unknown ids) fail here. RESOURCE_EXHAUSTED:
     * the queue is full. */
    int32_t (*submit)(void *ctx, const struct tenon_request *request, uint64_t *ret_id, struct tenon_err *err);
    int32_t (*cancel)(void *ctx, uint64_t id); /* NOT_FOUND: ended already */
    /* Ids of a text; flags as in tokenizer.h. ids [capacity], *ret_n the number the text has. */
    int32_t (*tokenize)(void *ctx, struct tenon_loaded *model, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                        uint64_t capacity, uint64_t *ret_n, struct tenon_err *err);
    int32_t (*detokenize)(void *ctx, struct tenon_loaded *model, const int32_t *ids, uint64_t n, uint32_t flags, char *buf,
                          uint64_t capacity, uint64_t *ret_n, struct tenon_err *err);
    /* Render the model's chat template: vars is a JSON object with `messages`. buf [capacity], *ret_n as above. */
    int32_t (*render)(void *ctx, struct tenon_loaded *model, const char *vars, uint64_t size, char *buf, uint64_t capacity,
                      uint64_t *ret_n, struct tenon_err *err);
    /* y [n_texts, width], of `capacity` floats; *ret_n is how many there are, and with less capacity nothing is computed. What
     * else is embedded changes no bit of a vector. Waits. FAILED_PRECONDITION: the model generates, see TENON_LOAD_EMBED. */
    int32_t (*embed)(void *ctx, struct tenon_loaded *model, const struct tenon_embed_args *args, float *y, uint64_t capacity,
                     uint64_t *ret_n, struct tenon_err *err);
    int32_t (*stats)(void *ctx, struct tenon_loaded *model, struct tenon_engine_stats *ret);
};

/* ---- libtenon ----------------------------------------------------------------------------------------------- */

struct tenon_runtime; /* plugins, thread pool and engine of this process; opaque */

struct tenon_runtime_options {
    uint32_t struct_size;
    uint32_t threads;        /* of the compute pool; 0: one per core this process may use, within its CPU quota */
    const char *plugin_path; /* replaces the plugin directories, ":" between them; NULL: the usual ones */
    void (*log)(void *arg, int32_t level, const char *line); /* NULL: stderr, warnings and errors only */
    void *log_arg;
};

/* [init] options NULL: all defaults. OWN: *ret until tenon_runtime_destroy.
 * Loading a model installs a handler of SIGBUS, once, which stays: reads of a model's file that was cut short give an error of
 * the request in place of the end of the process. Any other SIGBUS is passed on to the handler that was there before. */
TENON_EXPORT int32_t tenon_runtime_create(const struct tenon_runtime_options *options, struct tenon_runtime **ret,
                                          struct tenon_err *err);
/* Unloads all models and waits. NULL is allowed. Not from a callback. */
TENON_EXPORT void tenon_runtime_destroy(struct tenon_runtime *rt);
/* OWN: rt. */
TENON_EXPORT const struct tenon_engine *tenon_runtime_engine(struct tenon_runtime *rt);
/* Version of the library, "0.1.0". OWN: static. */
TENON_EXPORT const char *tenon_version(void);

#ifdef __cplusplus
}
#endif
#endif
