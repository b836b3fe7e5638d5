/* safetensors.h - private header of the safetensors plugin: what its files share.
 *
 * The way of a folder: folder.c chooses the files, json.c parses what is JSON in them within bounds, meta.c flattens the
 * configuration into keys, tensors.c takes a file's list of tensors and proves that each is inside, dtypes.c says how its numbers
 * lie. Nothing of a tensor is read.
 */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include <cjson/cJSON.h>

#include <tenon/weights.h>

#include "../common/names.h"

#define ST_MIB (1024u * 1024u)
#define ST_HEADER_MAX 100000000u      /* bytes of a file's header, as the format has it */
#define ST_CONFIG_MAX (4 * ST_MIB)    /* of config.json and the like */
#define ST_TOKENIZER_MAX (32 * ST_MIB) /* of tokenizer_config.json */
#define ST_SOURCES 5u                 /* files of which keys are made */
#define ST_INDEX_MAX (64 * ST_MIB)
#define ST_FILES_MAX 4096u            /* shards */
#define ST_FORMS 8u                   /* ids of forms in one model */
#define ST_STATE_MAX 4096u            /* bytes of a weight's quant_state */

/* ---- json.c ------------------------------------------------------------------------------------------------- */

#define ST_JSON_DEPTH 64u
#define ST_JSON_VALUES (4u << 20)

/* Parse an object of at most `most` bytes. NaN and Infinity, which Python writes, are taken: as {"__float__": "NaN"}, which
 * transformers writes, and as numbers. DATA_LOSS with the place; OUT_OF_RANGE: too large, too deep, too many values. OWN: *ret by
 * cJSON_Delete. */
int32_t st_json_parse(const char *file, const void *data, uint64_t size, uint64_t most, cJSON **ret, struct tenon_err *err);

/* A whole number within 0 .. 2^53. */
bool st_json_u64(const cJSON *item, uint64_t *ret);

/* Map a file and parse it. NOT_FOUND, without a message: there is none. */
int32_t st_json_read(const struct tenon_files *files, const char *name, uint64_t most, cJSON **ret, struct tenon_err *err);
int32_t st_json_read_list(const struct tenon_files *files, const char *name, uint64_t most, cJSON **ret, struct tenon_err *err);

/* ---- meta.c ------------------------------------------------------------------------------------------------- */

struct st_value {
    uint32_t type, is_array; /* TENON_META_* */
    uint64_t count;
    union {
        int64_t i;
        double f;
        uint8_t b;
        struct tenon_str s; /* OWN: a tree, or a mapped file */
    } one;
    void *many;              /* array: [count] of what `one` holds; OWN: value */
};

/* All zero is empty. */
struct st_meta {
    struct tenon_meta table;   /* what the host gets; its ctx is this struct, which must not move after st_meta_publish */
    struct weights_names keys; /* OWN of their text: meta */
    struct st_value *values;   /* [keys.n] */
    uint32_t capacity;
    uint64_t text;             /* bytes of all keys */
    cJSON *trees[ST_SOURCES + 1]; /* that strings lie in; the last: modules.json */
};

/* Read the files of a folder that make metadata, and list their names. NOT_FOUND: no config.json. On failure, too, the caller
 * finishes `meta`. */
int32_t st_meta_read(struct st_meta *meta, const struct tenon_files *files, struct tenon_err *err);
void st_meta_publish(struct st_meta *meta); /* fill meta->table */
void st_meta_finish(struct st_meta *meta);

/* ---- dtypes.c ----------------------------------------------------------------------------------------------- */

struct st_dtype {
    const char *name;     /* "BF16" */
    const char *encoding; /* id; OWN: static */
    uint32_t bits;
};

/* NULL: no such type. */
const struct st_dtype *st_dtype_of(const char *name);

/* ---- tensors.c ---------------------------------------------------------------------------------------------- */

/* Tensors of all files, in the files' order. */
struct st_tensors {
    struct weights_names names;  /* OWN of their text: tensors */
    struct tenon_tensor *items;  /* [names.n] */
    uint32_t capacity;
    char forms[ST_FORMS][48];    /* ids of quantised weights, "" behind the last. Tensors point here */
    const uint8_t **files;       /* [n_files] data by the file's id; OWN of the array: tensors */
    uint32_t n_files;
};

/* Take down the tensors of one file. On failure, too, the caller finishes `t`. */
int32_t st_tensors_read(struct st_tensors *t, const struct tenon_files *files, const char *file, struct tenon_err *err);
void st_tensors_finish(struct st_tensors *t);

/* ---- quantized.c -------------------------------------------------------------------------------------------- */

/* Parts of quantised weights become weights. UNIMPLEMENTED: a variant of its method that is not known. The list must not move
 * afterwards. */
int32_t st_quantized_join(struct st_tensors *t, const struct tenon_meta *meta, struct tenon_err *err);

/* ---- nf4.c -------------------------------------------------------------------------------------------------- */

#define ST_NF4_STATE ".weight.quant_state.bitsandbytes__nf4"
#define ST_NF4_NESTED_ABSMAX ".weight.nested_absmax"
#define ST_NF4_NESTED_MAP ".weight.nested_quant_map"

/* Numbers of the tensors that make one weight of bitsandbytes. */
struct st_nf4 {
    uint32_t first, absmax, state;
    bool nested;
    uint32_t nested_absmax, nested_map;
};

/* The weight without its name. INVALID_ARGUMENT: its quant_state does not say what it must. */
int32_t st_nf4_join(const struct st_tensors *t, const struct st_nf4 *w, struct tenon_tensor *ret, struct tenon_err *err);

/* ---- folder.c ----------------------------------------------------------------------------------------------- */

struct tenon_weights_model {
    struct st_meta meta;
    struct st_tensors tensors;
};

/* The model in a folder, by the file the user named in it or NULL. On failure the caller finishes meta and tensors. */
int32_t st_folder_read(struct tenon_weights_model *model, const struct tenon_files *files, const char *name,
                       struct tenon_err *err);

/* How sure is it that this folder is a model's? Low where only the reason for saying no is known. */
int32_t st_folder_probe(const struct tenon_files *files);

/* Is there a file of that name? */
bool st_folder_has(const struct tenon_files *files, const char *name);

#endif
