/* plugin.h - what every Tenon plugin starts from: status codes, errors, the entry point and the host's services.
 *
 * A plugin is one shared object that exports one function and links no symbol of the host:
 *
 *     static const struct tenon_item items[] = {
 *         TENON_ITEM(TENON_BACKEND_IFACE, "acme", NULL, &acme_backend),
 *     };
 *     static const struct tenon_plugin plugin = {
 *         .struct_size = sizeof plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "com.acme.backend",
 *         .version = "1.0", .items = items, .n_items = 1, .item_stride = sizeof items[0],
 *     };
 *     TENON_PLUGIN_ENTRY(plugin)
 *
 * Rules that hold in every header of this folder:
 *   - `struct_size` comes first in every struct and is sizeof the struct as its author compiled it. Structs grow at
 *     the end only. A member that lies beyond struct_size, or is zero, is absent. Whoever reads a foreign struct
 *     copies min(struct_size, sizeof) bytes into a zeroed local first (TENON_COPY_IN does it).
 *   - Callbacks take `self` first and `struct tenon_err *err` last and return an int32 status: 0 or a negative code.
 *     On failure outputs named ret_* are untouched. A NULL callback is "not implemented"; each table says which
 *     callbacks are mandatory.
 *   - Text is UTF-8; text that came from a user is a pointer and a length, not NUL-ended.
 *   - Thread tags: [scan] may run before init, in any process, must not touch anything outside its arguments;
 *     [init] one thread, once; [any-thread] concurrently from any thread; [serial:X] one thread at a time per X;
 *     [no-block] must return without waiting for a device, a lock held for long, or IO.
 *   - "OWN:" lines say who frees. Who allocates, frees. "borrowed" means valid until the time named.
 *   - A plugin never calls exit, abort, longjmp across the border, chdir, setlocale, fork, and never writes to stdout.
 *
 * Needs nothing but a C11 (or C++17) compiler.
 */
#ifndef TENON_PLUGIN_H
#define TENON_PLUGIN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The loader ABI this header describes. Independent of interface revisions ("tenon.backend/1") and op versions. */
#define TENON_ABI 1u

/* The API level an author builds for: members marked "since 1.N" are meant for level N or later. A plugin that does
 * not define it is built for 1.0 and runs on every host of ABI 1. Encoded as major * 1000 + minor. */
#ifndef TENON_API_LEVEL
#define TENON_API_LEVEL 1000u
#endif

#if defined(_WIN32)
#define TENON_EXPORT __declspec(dllexport)
#else
#define TENON_EXPORT __attribute__((visibility("default")))
#endif

#if defined(__GNUC__)
#define TENON_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TENON_PRINTF(fmt, args)
#endif

/* ---- status ------------------------------------------------------------------------------------------------- */

/* Codes are those of absl/gRPC, negated. The code drives what the host does, the text is for people:
 * UNIMPLEMENTED: fall back. RESOURCE_EXHAUSTED: evict or shrink, then retry. UNAVAILABLE: device lost, reopen.
 * CANCELLED, DEADLINE_EXCEEDED: end that request only. Everything else: fail that request and name the plugin. */
#define TENON_STATUS_LIST(X)                                           \
    X(OK, 0, "ok")                                                     \
    X(CANCELLED, -1, "cancelled")                                      \
    X(UNKNOWN, -2, "unknown error")                                    \
    X(INVALID_ARGUMENT, -3, "invalid argument")                        \
    X(DEADLINE_EXCEEDED, -4, "deadline exceeded")                      \
    X(NOT_FOUND, -5, "not found")                                      \
    X(ALREADY_EXISTS, -6, "already exists")                            \
    X(PERMISSION_DENIED, -7, "permission denied")                      \
    X(RESOURCE_EXHAUSTED, -8, "out of memory or of another resource")  \
    X(FAILED_PRECONDITION, -9, "failed precondition")                  \
    X(ABORTED, -10, "aborted")                                         \
    X(OUT_OF_RANGE, -11, "out of range")                               \
    X(UNIMPLEMENTED, -12, "not implemented")                           \
    X(INTERNAL, -13, "internal error")                                 \
    X(UNAVAILABLE, -14, "unavailable")                                 \
    X(DATA_LOSS, -15, "data corrupt or lost")

/* Constants for int32 statuses: TENON_OK, TENON_E_CANCELLED ... (an enum only here, never inside an ABI struct). */
enum tenon_status {
#define TENON_STATUS_ENUM(name, value, text) TENON_E_##name = value,
    TENON_STATUS_LIST(TENON_STATUS_ENUM)
#undef TENON_STATUS_ENUM
    TENON_OK = TENON_E_OK
};

/* Name of a status ("NOT_FOUND"); "UNKNOWN" for a number that is none. OWN: static. [any-thread] */
static inline const char *tenon_status_name(int32_t status)
{
    switch (status) {
#define TENON_STATUS_NAME(name, value, text) case value: return #name;
        TENON_STATUS_LIST(TENON_STATUS_NAME)
#undef TENON_STATUS_NAME
    default: return "UNKNOWN";
    }
}

/* Text of a status for people. OWN: static. [any-thread] */
static inline const char *tenon_status_text(int32_t status)
{
    switch (status) {
#define TENON_STATUS_TEXT(name, value, text) case value: return text;
        TENON_STATUS_LIST(TENON_STATUS_TEXT)
#undef TENON_STATUS_TEXT
    default: return "unknown error";
    }
}

/* An error: caller-owned, usually on the caller's stack, so that it works out of memory. NULL is allowed wherever a
 * `struct tenon_err *` is taken. `where` is a plugin id, file or node name; `message` says what failed, why, and
 * what to do, without a trailing newline. */
struct tenon_err {
    uint32_t struct_size;
    int32_t code;
    char where[64];
    char message[440];
};
#define TENON_ERR_INIT { (uint32_t)sizeof(struct tenon_err), 0, "", "" }

/* Fill `err` (may be NULL) and return `code`, so that a failure is one statement:
 *     return tenon_fail(err, TENON_E_NOT_FOUND, path, "no such file: give the path of a GGUF file");
 * [any-thread] */
static inline int32_t tenon_fail(struct tenon_err *err, int32_t code, const char *where, const char *fmt, ...)
    TENON_PRINTF(4, 5);
static inline int32_t tenon_fail(struct tenon_err *err, int32_t code, const char *where, const char *fmt, ...)
{
    if (err != NULL) {
        va_list args;
        err->code = code;
        (void)snprintf(err->where, sizeof err->where, "%s", where != NULL ? where : ""); /* cutting is fine */
        va_start(args, fmt);
        (void)vsnprintf(err->message, sizeof err->message, fmt, args);
        va_end(args);
    }
    return code;
}

/* Copy a size-prefixed foreign struct into a zeroed local of this header's type: members the author did not know
 * become zero, members this reader does not know are dropped. */
#define TENON_COPY_IN(local, foreign)                                                                   \
    do {                                                                                                \
        uint32_t tenon_copy_size_;                                                                      \
        memcpy(&tenon_copy_size_, (foreign), sizeof tenon_copy_size_);                                  \
        memset((local), 0, sizeof *(local));                                                            \
        memcpy((local), (foreign), tenon_copy_size_ < sizeof *(local) ? tenon_copy_size_ : sizeof *(local)); \
    } while (0)

/* Does the foreign struct at p reach member m, and is it set? */
#define TENON_HAS(p, m) \
    ((p)->struct_size >= offsetof(__typeof__(*(p)), m) + sizeof((p)->m) && (p)->m != 0)

/* A stretch of bytes or UTF-8 text that is not NUL-ended. */
struct tenon_str {
    const char *data; /* [size]; may be NULL when size is 0 */
    uint64_t size;    /* bytes */
};

/* How one vector is made of a text's rows: what models were made for, and what requests may ask. */
#define TENON_POOL_MEAN 1  /* of all its tokens */
#define TENON_POOL_FIRST 2 /* the first token's ([CLS]) */
#define TENON_POOL_LAST 3  /* the last token's */

/* ---- entry -------------------------------------------------------------------------------------------------- */

struct tenon_host;

/* One thing a plugin provides; pure data. Items of one plugin stand in an array with a stride. */
struct tenon_item {
    uint32_t struct_size;
    uint32_t priority;       /* higher wins among items of one iface that fit equally; 0: the manifest's priority */
    const char *iface;       /* "tenon.backend/1" */
    const char *name;        /* "cpu"; unique per iface within a plugin; [a-z0-9_.-] */
    const char *const *keys; /* NULL-ended list the host selects by: architecture names, splits; NULL: none */
    const void *impl;        /* OWN: plugin, static. The interface's table, struct_size first */
};

/* What a plugin file is. The first four words never change in any ABI. */
struct tenon_plugin {
    uint32_t struct_size;
    uint32_t abi;       /* TENON_ABI it was built against */
    uint32_t api_level; /* TENON_API_LEVEL it was built for */
    uint32_t flags;     /* 0 */
    const char *id;     /* reverse domain, "org.tenon.backend.cpu" */
    const char *version;
    const char *vendor;
    const char *license; /* SPDX */
    const char *url;
    const char *description; /* one line */
    const struct tenon_item *items;
    uint32_t n_items;
    uint32_t item_stride; /* bytes from one item to the next */
    /* [init] Optional. Called once before the first use of any item. *ret_self is handed to fini and to every callback
     * of the plugin's tables as `self`, unless a table says otherwise. `host` outlives the plugin. */
    int32_t (*init)(const struct tenon_host *host, void **ret_self, struct tenon_err *err);
    /* [init] Optional. Called once at the end of the process's use of the plugin. */
    void (*fini)(void *self);
};

/* The one exported symbol: [scan] no side effect, needs no host. host_abi_max is the newest loader ABI the host
 * speaks. Returns 0, or FAILED_PRECONDITION when the plugin cannot serve any ABI up to host_abi_max; *ret_plugin is
 * then still set, so that the host can print both numbers. OWN: *ret_plugin is static. */
typedef int32_t tenon_plugin_entry_fn(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin);
#define TENON_PLUGIN_ENTRY_SYMBOL "tenon_plugin_entry"

/* Designated initialisers for the usual case. A static build (no dlopen) defines TENON_STATIC_PLUGIN to a name, and the
 * entry becomes that hidden function, to be listed in the host's table. */
#define TENON_ITEM(iface_, name_, keys_, impl_) \
    { (uint32_t)sizeof(struct tenon_item), 0u, (iface_), (name_), (keys_), (impl_) }
#ifdef __cplusplus
#define TENON_ENTRY_C_ extern "C"
#else
#define TENON_ENTRY_C_
#endif
#ifdef TENON_STATIC_PLUGIN
#define TENON_ENTRY_NAME_ TENON_STATIC_PLUGIN
#define TENON_ENTRY_LINKAGE_
#else
#define TENON_ENTRY_NAME_ tenon_plugin_entry
#define TENON_ENTRY_LINKAGE_ TENON_EXPORT
#endif
#define TENON_PLUGIN_ENTRY(plugin_)                                                                   \
    TENON_ENTRY_C_ TENON_ENTRY_LINKAGE_ int32_t TENON_ENTRY_NAME_(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin); \
    TENON_ENTRY_LINKAGE_ int32_t TENON_ENTRY_NAME_(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin)  \
    {                                                                                                 \
        *ret_plugin = &(plugin_);                                                                     \
        return host_abi_max >= (plugin_).abi ? TENON_E_OK : TENON_E_FAILED_PRECONDITION;              \
    }

/* ---- services of the host ----------------------------------------------------------------------------------- */

/* What init receives. Services are tables looked up by id; which ids a plugin may have depends on what it provides (a
 * tokenizer does not get "tenon.engine/1"). */
struct tenon_host {
    uint32_t struct_size;
    uint32_t abi;         /* loader ABI of the host */
    uint32_t api_level;   /* highest API level of the host */
    uint32_t reserved;    /* 0 */
    const char *version;  /* of the host, for messages */
    void *ctx;            /* hand back to service() */
    /* [any-thread] The table for `id`, or NULL: unknown to this host, or not granted. OWN: host, static. Every service
     * table begins with struct_size and a `ctx` that is its first argument. */
    const void *(*service)(void *ctx, const char *id);
};

#define TENON_LOG_ERROR 0
#define TENON_LOG_WARN 1
#define TENON_LOG_INFO 2
#define TENON_LOG_DEBUG 3

/* "tenon.log/1": lines for people, prefixed by the host with the plugin's id; nothing goes to stdout. */
#define TENON_LOG_SERVICE "tenon.log/1"
struct tenon_log {
    uint32_t struct_size;
    int32_t level; /* messages above this level are dropped by the host: check before formatting costly text */
    void *ctx;
    void (*write)(void *ctx, int32_t level, const char *text, uint64_t size); /* [any-thread] [no-block] */
};

/* "tenon.alloc/1": host memory, counted per plugin. Memory from it may be freed by either side through this table. */
#define TENON_ALLOC_SERVICE "tenon.alloc/1"
struct tenon_alloc {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    void *(*alloc)(void *ctx, uint64_t size, uint64_t align); /* [any-thread] NULL: out of memory. align: power of two */
    void (*free)(void *ctx, void *p);                         /* [any-thread] NULL is allowed */
};

/* "tenon.config/1": the plugin's own `set.KEY = VALUE` lines from plugins.d. */
#define TENON_CONFIG_SERVICE "tenon.config/1"
struct tenon_config {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    const char *(*get)(void *ctx, const char *key); /* [any-thread] NULL: not set. OWN: host, for the process's life */
};

/* "tenon.memory/1": the machine's memory as far as this process may have it, containers being limited to less. Whoever chooses
 * how much to take asks here. */
#define TENON_MEMORY_SERVICE "tenon.memory/1"
struct tenon_memory {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    uint64_t (*total)(void *ctx);     /* [any-thread] bytes; 0: not known */
    uint64_t (*available)(void *ctx); /* [any-thread] bytes that are free or can be freed now; 0: not known, 1: nothing is left */
};

/* "tenon.threads/1": the process's one pool. A plugin starts no threads of its own for computing.
 *
 * A region is one call of `fn` on every thread of a team: fn(arg, i, n) with i in 0..n-1. Regions are queued and run one
 * after the other. Inside a region `barrier` meets all n calls. Example: enqueue a whole execution plan as one region
 * whose calls walk the plan together, meeting at barriers. */
#define TENON_THREADS_SERVICE "tenon.threads/1"
struct tenon_threads {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    uint32_t (*count)(void *ctx); /* [any-thread] n that regions will have (fixed once the first region ran) */
    /* [any-thread] [no-block] Queue a region. `done` (optional) is called once, by a pool thread, after every fn has
     * returned; it must be short and not block. Errors: RESOURCE_EXHAUSTED, UNAVAILABLE (pool is ending). */
    int32_t (*submit)(void *ctx, void (*fn)(void *arg, uint32_t i, uint32_t n), void *arg, void (*done)(void *arg));
    /* Inside a region only: wait for all n threads of the region. Writes before it are seen after it. */
    void (*barrier)(void *ctx);
};

#ifdef __cplusplus
}
#endif
#endif
