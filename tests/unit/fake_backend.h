/* fake_backend.h - what the files of the fake plugins share; tests include fake_plugins.h. */
#ifndef FAKE_BACKEND_H
#define FAKE_BACKEND_H

#include <stdio.h>
#include <stdlib.h>

#include <tenon/backend.h>

extern struct tenon_backend fake_backend;

/* Check's own asserts are for its test thread alone. */
#define NEED(condition)                                                                      \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                         \
        }                                                                                    \
    } while (0)

#endif
