/* embed_main.c - a program that embeds Tenon, as small as can be: for tests/e2e/install.py, which builds it from what is
 * installed alone. Given the folder of the plugins it opens a runtime, asks for a model that is not there and says what it was
 * told. Exit 0: all went as it should. */
#include <stdio.h>

#include <tenon/engine.h>

int main(int argc, char **argv)
{
    struct tenon_runtime_options options = { .struct_size = sizeof options, .plugin_path = argc > 1 ? argv[1] : NULL };
    struct tenon_load_args args = { .struct_size = sizeof args, .path = "/nonexistent/model.gguf" };
    struct tenon_loaded *model = NULL;
    struct tenon_runtime *rt = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    if (tenon_runtime_create(&options, &rt, &err) != TENON_OK) {
        fprintf(stderr, "%s: %s\n", err.where, err.message);
        return 1;
    }
    const struct tenon_engine *engine = tenon_runtime_engine(rt);
    int32_t status = engine->load(engine->ctx, &args, &model, &err);
    printf("tenon %s: %s: %s\n", tenon_version(), err.where, err.message);
    tenon_runtime_destroy(rt);
    return status == TENON_E_NOT_FOUND ? 0 : 1;
}
