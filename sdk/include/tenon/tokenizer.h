/* tokenizer.h - "tenon.tokenizer/1": text to token ids and back.
 *
 * A tokenizer is opened from a model's metadata and is immutable afterwards, so every call but open and close is
 * [any-thread]. Encoding adds no BOS and no EOS: the caller does, by `info`. Example:
 *
 *     tk->encode(tok, text, size, TENON_ENCODE_SPECIAL, ids, cap, &n, err);   n > cap: grow and call again
 */
#ifndef TENON_TOKENIZER_H
#define TENON_TOKENIZER_H

#include <tenon/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_TOKENIZER_IFACE "tenon.tokenizer/1"

/* encode flags */
#define TENON_ENCODE_SPECIAL 1u /* text of control tokens ("<|im_start|>") becomes the token; else it is plain text */

/* decode flags */
#define TENON_DECODE_SPECIAL 1u /* control tokens give their text; else nothing */

/* token attributes */
#define TENON_TOKEN_CONTROL 1u
#define TENON_TOKEN_USER_DEFINED 2u
#define TENON_TOKEN_BYTE 4u
#define TENON_TOKEN_UNKNOWN 8u
#define TENON_TOKEN_UNUSED 16u
#define TENON_TOKEN_END 32u /* ends a generation: EOS, end of turn */

struct tenon_tokenizer_info {
    uint32_t struct_size;
    uint32_t vocab_size;
    int32_t bos, eos, unk, pad; /* ids, -1: none */
    uint32_t add_bos, add_eos;  /* 0 or 1: what the model wants around a text when no template says otherwise */
};

struct tenon_tokenizer_object; /* opaque, the plugin's */

/* All callbacks mandatory. */
struct tenon_tokenizer {
    uint32_t struct_size;
    uint32_t reserved;
    /* How well this plugin can open that metadata: 0 not at all ... 100. [any-thread] */
    int32_t (*match)(void *self, const struct tenon_meta *meta);
    /* OWN: *ret until close. `meta` and `files` (may be NULL) outlive it. */
    int32_t (*open)(void *self, const struct tenon_meta *meta, const struct tenon_files *files,
                    struct tenon_tokenizer_object **ret, struct tenon_err *err);
    void (*close)(void *self, struct tenon_tokenizer_object *tok); /* NULL is allowed */
    int32_t (*info)(struct tenon_tokenizer_object *tok, struct tenon_tokenizer_info *ret_info);
    /* Text to ids [capacity]. Any bytes are accepted, invalid UTF-8 too. *ret_n is the number of ids the text has, also when
     * it exceeds capacity (then the first `capacity` are written, status 0). */
    int32_t (*encode)(struct tenon_tokenizer_object *tok, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err);
    /* Bytes of one token as it continues a text: buf [capacity], *ret_n as above. *state is the caller's, 0 at the start of
     * a text; a tokenizer that must know what came before (a leading space to drop) keeps it there. The bytes of one token
     * may end within a character: the caller joins them. */
    int32_t (*decode)(struct tenon_tokenizer_object *tok, uint64_t *state, int32_t id, uint32_t flags, char *buf,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err);
    /* The vocabulary's own spelling of a token. OWN: tok. OUT_OF_RANGE. */
    int32_t (*piece)(struct tenon_tokenizer_object *tok, int32_t id, struct tenon_str *ret_piece, uint32_t *ret_attributes);
};

#ifdef __cplusplus
}
#endif
#endif
