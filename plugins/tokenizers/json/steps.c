/* steps.c - reads the steps of a chain, whatever they do. Pure functions. Contract: steps.h. */
#include "steps.h"

int32_t js_steps_read(struct js *j, const char *list, js_step_fn *read, void *chain, struct js_arena *arena)
{
    struct js_object o;
    struct js part;
    int32_t status = 0;
    js_object(j, &o);
    if (j->status != 0)
        return j->status;
    if (!js_is(js_get_string(j, &o, "type"), "Sequence"))
        return read(chain, j, &o, arena);
    if (!js_find(j, &o, list, &part) || !js_open(&part, '['))
        return js_fail(j, "a Sequence without its list of steps");
    while (status == 0 && js_element(&part))
        status = js_steps_read(&part, list, read, chain, arena);
    js_join(j, &part);
    return status != 0 ? status : j->status;
}

int32_t js_step_unknown(struct js *j, const char *part, struct tenon_str type)
{
    return tenon_fail(j->err, TENON_E_UNIMPLEMENTED, "json", "the %s \"%.*s\" is not known", part,
                      (int)(type.size < 64 ? type.size : 64), type.data);
}
