/* Fuzzing of chat templates: the input is a template, up to a NUL if there is one, and behind that its variables as
 * JSON (else fixed ones). Whatever it is, compiling and rendering end with a result or an error, within small limits.
 *
 *     build/fuzz_template -max_total_time=60 -dict=tests/fuzz/template.dict corpus/ */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char fixed[] = "{\"messages\":[{\"role\":\"system\",\"content\":\"S\\u00e9 "
                            "\\ud83c\\udf27\"},{\"role\":\"user\",\"content\":[{\"type\":"
                            "\"text\",\"text\":\"a b\\nc\"}]}],\"tools\":[{\"name\":\"f\",\"x\":1.5}],\"s\":\"Hello, "
                            "W\\u00f6rld\",\"i\":42,\"f\":"
                            "-2.5,\"l\":[3,1,2],\"d\":{\"b\":1,\"a\":{\"x\":[null,true]}},\"big\":"
                            "12345678901234567890123,\"n\":null,\"t\":true}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tn_template_limits limits = {
        .memory_bytes = 4u << 20, .output_bytes = 1u << 20, .steps = 200000, .depth = 300, .now = 1};
    const char *text = (const char *)data;
    const char *nul = size > 0 ? memchr(text, '\0', size) : NULL;
    size_t len = nul != NULL ? (size_t)(nul - text) : size;
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_template *t;
    struct tn_buf out;
    if (tn_template_compile(text, len, &t, &err) != 0)
        return 0;
    tn_buf_init(&out, 0);
    if (nul != NULL)
        (void)tn_template_render_json(t, nul + 1, size - len - 1, &limits, &out, &err); /* an error is fine */
    (void)tn_template_render_json(t, fixed, sizeof fixed - 1, &limits, &out, &err);
    tn_buf_finish(&out);
    tn_template_destroy(t);
    return 0;
}
