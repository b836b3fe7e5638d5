/* hash.c - SHA-256 by OpenSSL's libcrypto. Any thread. Contract: hash.h. */
#include "core/base/hash.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "core/base/file.h"

static void to_hex(const unsigned char *digest, char ret_hex[TN_SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        ret_hex[2 * i] = digits[digest[i] >> 4];
        ret_hex[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_hex[64] = '\0';
}

int32_t tn_sha256(const void *data, uint64_t size, char ret_hex[TN_SHA256_HEX], struct tenon_err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL) != 1)
        return tenon_fail(err, TENON_E_INTERNAL, "sha256", "libcrypto could not hash %llu bytes",
                          (unsigned long long)size);
    to_hex(digest, ret_hex);
    return TENON_OK;
}

/* Feed the whole file to the digest. */
static int32_t update_from(EVP_MD_CTX *md, int fd, const char *name, struct tenon_err *err)
{
    unsigned char block[1 << 14];
    for (off_t at = 0;;) {
        ssize_t n = pread(fd, block, sizeof block, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tenon_fail(err, tn_file_status(errno), name, "cannot read: %s", strerror(errno));
        if (n == 0)
            return TENON_OK;
        if (EVP_DigestUpdate(md, block, (size_t)n) != 1)
            return tenon_fail(err, TENON_E_INTERNAL, name, "libcrypto could not hash the file");
        at += n;
    }
}

int32_t tn_sha256_fd(int fd, const char *name, char ret_hex[TN_SHA256_HEX], struct tenon_err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    int32_t rc;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, name, "libcrypto could not start a hash: out of memory");
    else
        rc = update_from(md, fd, name, err);
    if (rc == TENON_OK && EVP_DigestFinal_ex(md, digest, NULL) != 1)
        rc = tenon_fail(err, TENON_E_INTERNAL, name, "libcrypto could not hash the file");
    if (rc == TENON_OK)
        to_hex(digest, ret_hex);
    EVP_MD_CTX_free(md);
    return rc;
}
