/* braid.c - the made-up architecture "acme-braid", a decoder as most are: the table of weights says what its layers have (biases on
 * q, k and v), `read` takes one key of its own, a cap on logits. GGUF files and Hugging Face directories run by the same table. All
 * else is <tenon/decoder.h>, whose head says what a family can do besides. */
#define TENON_DECODER_ID "com.acme.model." /* the architecture's name comes behind it */
#define TENON_DECODER_VENDOR "Acme"
#define TENON_DECODER_VERSION "1.0.0"
#define TENON_DECODER_LICENSE "Apache-2.0"
#include <tenon/decoder.h>

#define ARCH "acme-braid"

struct tenon_model_config {
    struct tenon_decoder d; /* first; what the family itself keeps comes behind it */
};

static const struct tenon_weight_row rows[] = {
    TENON_DECODER_ROWS, /* embedding, norms, attention, gated net, output: see decoder_rows.h for its parts and others */
    TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL),
};

static int32_t read_more(struct tenon_model_config *c, const struct tenon_meta *m, struct tenon_err *err)
{
    const double none = 0.0;
    return tenon_key_f64(m, ARCH, "logit_cap", 0, 1e6, &none, &c->d.logit_softcap, err);
}

static const struct tenon_key_row hf_keys[] = {{"logit_cap", "acme_logit_cap", 0, 0}}; /* as config.json spells it */

static const struct tenon_decoder_family family = {
    .arch = ARCH, .rope_layout = "half", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .read = read_more, .hf_keys = hf_keys, .n_hf_keys = 1,
};
TENON_DECODER_PLUGIN(family, ARCH, "a decoder with a cap on its logits")
