/* hash.h - SHA-256, for identities that must not collide (plugin files, encodings, caches).
 *
 *     char hex[TN_SHA256_HEX];
 *     if (tn_sha256_fd(fd, path, hex, err) != TENON_OK) ...
 *
 * Hash maps have their own hash (map.h). [any-thread]
 */
#ifndef TN_BASE_HASH_H
#define TN_BASE_HASH_H

#include <stdint.h>

#include <tenon/plugin.h>

#define TN_SHA256_HEX 65 /* 64 lower-case hex digits and the NUL */

int32_t tn_sha256(const void *data, uint64_t size, char ret_hex[TN_SHA256_HEX], struct tenon_err *err);

/* Of a whole file, from offset 0, without moving the descriptor's offset. */
int32_t tn_sha256_fd(int fd, const char *name, char ret_hex[TN_SHA256_HEX], struct tenon_err *err);

#endif
