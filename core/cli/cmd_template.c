/* cmd_template.c - `tenon template FILE.jinja --input FILE.json`: renders a chat template with the members of a JSON
 * object as its variables and prints exactly the rendering. Needs no model. One thread. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/cli/commands.h"
#include "core/text/template.h"

enum { EXIT_USAGE = 2 };

#define TEMPLATE_MAX ((uint64_t)16 * 1024 * 1024)
#define INPUT_MAX ((uint64_t)64 * 1024 * 1024)

static const char usage[] = "usage: tenon template FILE.jinja --input FILE.json\n"
                            "\n"
                            "Render a chat template and print the rendering, not a byte more.\n"
                            "\n"
                            "  --input FILE   a JSON object whose members are the template's variables:\n"
                            "                 messages, tools, add_generation_prompt, bos_token ...\n"
                            "  --             what follows is FILE.jinja even if it begins with -\n";

struct options {
    const char *file, *input;
    bool help;
};

/* argv[0] is the command's name. False: not as the usage says, and *ret_bad is what (NULL: something is missing). */
static bool parse(int argc, char **argv, struct options *ret, const char **ret_bad)
{
    bool only_files = false;
    *ret_bad = NULL;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        bool option = !only_files && arg[0] == '-' && arg[1] != '\0';
        if (option && strcmp(arg, "--") == 0) {
            only_files = true;
        } else if (option && (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)) {
            ret->help = true;
            return true;
        } else if (option && strcmp(arg, "--input") == 0 && i + 1 < argc) {
            ret->input = argv[++i];
        } else if (option && strncmp(arg, "--input=", 8) == 0) {
            ret->input = arg + 8;
        } else if (!option && ret->file == NULL) {
            ret->file = arg;
        } else {
            *ret_bad = arg;
            return false;
        }
    }
    return ret->file != NULL && ret->input != NULL;
}

static int32_t render(const struct options *o, struct tn_buf *out, struct tenon_err *err)
{
    char *source = NULL, *input = NULL;
    uint64_t source_size = 0, input_size = 0;
    struct tn_template *t = NULL;
    int32_t status = tn_file_read(o->file, TEMPLATE_MAX, &source, &source_size, err);
    if (status == 0)
        status = tn_file_read(o->input, INPUT_MAX, &input, &input_size, err);
    if (status == 0)
        status = tn_template_compile(source, (size_t)source_size, &t, err);
    if (status == 0)
        status = tn_template_render_json(t, input, (size_t)input_size, NULL, out, err);
    tn_template_destroy(t);
    free(input);
    free(source);
    return status;
}

static int print(const struct tn_buf *out)
{
    bool ok = out->len == 0 || fwrite(out->data, 1, out->len, stdout) == out->len;
    if (fflush(stdout) == 0 && ok)
        return EXIT_SUCCESS;
    fprintf(stderr, "tenon: template: the rendering could not be written: is the disk full or the reader gone?\n");
    return EXIT_FAILURE;
}

int tn_cmd_template(int argc, char **argv)
{
    struct options options = {0};
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out;
    const char *bad;
    if (!parse(argc, argv, &options, &bad)) {
        if (bad != NULL)
            fprintf(stderr, "tenon: template: what is \"%s\"?\n", bad);
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (options.help) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    tn_buf_init(&out, 0);
    int code = EXIT_FAILURE;
    if (render(&options, &out, &err) == 0)
        code = print(&out);
    else
        tn_log_err(NULL, &err);
    tn_buf_finish(&out);
    return code;
}
