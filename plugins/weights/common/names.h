/* names.h - an ordered set of names out of a file, and what else the lists of a format's reader need. Compiled into each plugin.
 *
 *     struct weights_names names = {0};
 *     rc = weights_names_add(&names, name);               ALREADY_EXISTS: it stands there twice
 *     if (weights_names_find(&names, name, &i)) ...       names.items[i]
 *     weights_names_finish(&names);
 *
 * Finding is for any thread, adding for one.
 */
#ifndef WEIGHTS_NAMES_H
#define WEIGHTS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/plugin.h>

/* Arguments of "%.*s" for a name out of a file, cut to what fits a message. */
#define WEIGHTS_SHOW(str) (int)((str).size < 80 ? (str).size : 80), (str).data != NULL ? (str).data : ""

/* Make room for one more of the n elements, of `size` bytes each, in *list. Growing is by half. */
int32_t weights_grow(void **list, uint32_t n, uint32_t *capacity, size_t size);

/* All zero is the empty set. Names are borrowed. */
struct weights_names {
    struct tenon_str *items; /* [n] in the order they were added */
    uint32_t n;
    uint32_t capacity;
    uint32_t *slots;  /* [n_slots] index + 1; 0: free */
    uint32_t n_slots; /* power of two; 0 at first */
    uint64_t seed;    /* so that a file cannot choose names that collide */
};

/* The name gets number n. ALREADY_EXISTS, RESOURCE_EXHAUSTED. */
int32_t weights_names_add(struct weights_names *names, struct tenon_str name);
/* false: not there. */
bool weights_names_find(const struct weights_names *names, struct tenon_str name, uint32_t *ret_index);
void weights_names_finish(struct weights_names *names);

#endif
