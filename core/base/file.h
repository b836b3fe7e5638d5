/* file.h - whole small files: manifests, caches, templates. Weights are mapped elsewhere.
 *
 *     char *text;
 *     uint64_t size;
 *     int32_t rc = tn_file_read(path, 1 << 20, &text, &size, err);   // text[size] is a NUL
 *     free(text);
 *
 * [any-thread]
 */
#ifndef TN_BASE_FILE_H
#define TN_BASE_FILE_H

#include <stdint.h>

#include <tenon/plugin.h>

/* Read a regular file of at most max_size bytes. *ret_data has a NUL behind it. OWN: caller frees.
 * Errors: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT (no regular file), OUT_OF_RANGE (too large), DATA_LOSS. */
int32_t tn_file_read(const char *path, uint64_t max_size, char **ret_data, uint64_t *ret_size, struct tenon_err *err);

/* The same from a descriptor, from its offset 0; `name` is for messages. The descriptor stays open. */
int32_t tn_file_read_fd(int fd, const char *name, uint64_t max_size, char **ret_data, uint64_t *ret_size,
                        struct tenon_err *err);

/* Replace the file by `data`: readers see the old content or the new, never a part. Mode 0600 & ~umask. */
int32_t tn_file_replace(const char *path, const char *data, uint64_t size, struct tenon_err *err);

/* Make the folder and those above it, with mode 0700. Being there already is fine. */
int32_t tn_file_mkdirs(const char *path, struct tenon_err *err);

/* The status that an errno stands for. */
int32_t tn_file_status(int error);

#endif
