/* render_main.c - chat templates rendered one after another, for tests that compare thousands of them and would else start as
 * many processes. Reads lines "TEMPLATE-FILE TAB INPUT-FILE" from stdin, answers each with a line "STATUS BYTES" and then so many
 * bytes: the rendering for status 0, the error's message for others. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/text/template.h"

#define FILE_MAX ((uint64_t)64 * 1024 * 1024)

static int32_t render(const char *template, const char *input, struct tn_buf *out, struct tenon_err *err)
{
    char *source = NULL, *json = NULL;
    uint64_t source_size = 0, json_size = 0;
    struct tn_template *t = NULL;
    int32_t status = tn_file_read(template, FILE_MAX, &source, &source_size, err);
    if (status == 0)
        status = tn_file_read(input, FILE_MAX, &json, &json_size, err);
    if (status == 0)
        status = tn_template_compile(source, (size_t)source_size, &t, err);
    if (status == 0)
        status = tn_template_render_json(t, json, (size_t)json_size, NULL, out, err);
    tn_template_destroy(t);
    free(json);
    free(source);
    return status;
}

static int answer(int32_t status, const char *data, size_t size)
{
    printf("%d %zu\n", (int)status, size);
    if (size > 0)
        (void)fwrite(data, 1, size, stdout); /* a failure shows in fflush */
    return fflush(stdout);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    int failed = 0;
    while (!failed && getline(&line, &room, stdin) > 0) {
        struct tenon_err err = TENON_ERR_INIT;
        struct tn_buf out;
        char *template = strtok(line, "\t"), *input = strtok(NULL, "\n");
        int32_t status;
        tn_buf_init(&out, 0);
        if (template == NULL || input == NULL)
            status = tenon_fail(&err, TENON_E_INVALID_ARGUMENT, "stdin", "a line is TEMPLATE TAB INPUT");
        else
            status = render(template, input, &out, &err);
        failed = answer(status, status == 0 ? (const char *)out.data : err.message, status == 0 ? out.len : strlen(err.message));
        tn_buf_finish(&out);
    }
    free(line);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
