/* presence.c - reads ELF headers and the dynamic loader's cache, so that the host can say "for aarch64" or "libcuda is
 * not there" without dlopen. Any thread. Contract: presence.h. */
#include "core/plugin/presence.h"

#include <elf.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"

#define LD_CACHE "/etc/ld.so.cache"
#define LD_CACHE_MAX (32u << 20)

static const struct machine {
    uint16_t elf;
    uint8_t elf_class;
    uint8_t elf_data;
    const char *arch;
} machines[] = {
    {EM_X86_64, ELFCLASS64, ELFDATA2LSB, "x86_64"},
    {EM_AARCH64, ELFCLASS64, ELFDATA2LSB, "aarch64"},
    {EM_RISCV, ELFCLASS64, ELFDATA2LSB, "riscv64"},
    {EM_RISCV, ELFCLASS32, ELFDATA2LSB, "riscv32"},
    {EM_PPC64, ELFCLASS64, ELFDATA2LSB, "ppc64le"},
    {EM_S390, ELFCLASS64, ELFDATA2MSB, "s390x"},
    {EM_386, ELFCLASS32, ELFDATA2LSB, "i686"},
    {EM_ARM, ELFCLASS32, ELFDATA2LSB, "arm"},
    {258 /* EM_LOONGARCH */, ELFCLASS64, ELFDATA2LSB, "loongarch64"},
};

const char *tn_presence_arch(void)
{
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#elif defined(__riscv) && __riscv_xlen == 64
    return "riscv64";
#elif defined(__riscv)
    return "riscv32";
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return "ppc64le";
#elif defined(__s390x__)
    return "s390x";
#elif defined(__i386__)
    return "i686";
#elif defined(__arm__)
    return "arm";
#elif defined(__loongarch64)
    return "loongarch64";
#else
    return "unknown";
#endif
}

static bool exists(const char *dir, size_t dir_size, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%.*s/%s", (int)dir_size, dir, name);
    return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

static bool in_library_path(const char *name)
{
    const char *list = secure_getenv("LD_LIBRARY_PATH");
    while (list != NULL && *list != '\0') {
        size_t n = strcspn(list, ":");
        if (n > 0 && exists(list, n, name))
            return true;
        list += n + (list[n] == ':');
    }
    return false;
}

/* The cache's string table ends every path with a NUL and shares the sonames' bytes with the paths' ends; the rest of
 * its layout differs between versions. */
static bool in_loader_cache(const char *name)
{
    char *data;
    uint64_t size;
    char word[256]; /* "/NAME" and its NUL */
    int n = snprintf(word, sizeof word, "/%s", name);
    if (n < 0 || (size_t)n >= sizeof word || tn_file_read(LD_CACHE, LD_CACHE_MAX, &data, &size, /* err= */ NULL) != TENON_OK)
        return false;
    bool found = memmem(data, size, word, (size_t)n + 1) != NULL;
    free(data);
    return found;
}

static bool has_library(const char *name)
{
    static const char *const dirs[] = {"/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64"};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        if (exists(dirs[i], strlen(dirs[i]), name))
            return true;
    return in_library_path(name) || in_loader_cache(name);
}

bool tn_presence_need(const char *need)
{
    if (strncmp(need, "path:", 5) == 0)
        return access(need + 5, F_OK) == 0;
    return strncmp(need, "lib:", 4) == 0 && has_library(need + 4);
}

static const struct machine *machine_of(const unsigned char *ident, uint16_t elf)
{
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++)
        if (machines[i].elf == elf && machines[i].elf_class == ident[EI_CLASS] && machines[i].elf_data == ident[EI_DATA])
            return &machines[i];
    return NULL;
}

static uint16_t half(const unsigned char *p, bool big)
{
    return big ? (uint16_t)(p[0] << 8 | p[1]) : (uint16_t)(p[1] << 8 | p[0]);
}

int32_t tn_presence_elf(int fd, const char *path, struct tenon_err *err)
{
    unsigned char head[EI_NIDENT + 4]; /* then e_type and e_machine, 2 bytes each, in the file's byte order */
    if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head || memcmp(head, ELFMAG, SELFMAG) != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "%s: not a shared object (no ELF header): reinstall it",
                          path);
    bool big = head[EI_DATA] == ELFDATA2MSB;
    uint16_t type = half(head + EI_NIDENT, big);
    uint16_t elf = half(head + EI_NIDENT + 2, big);
    const struct machine *m = machine_of(head, elf);
    if (m == NULL || strcmp(m->arch, tn_presence_arch()) != 0)
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "",
                          "%s: built for %s (ELF machine %u), this machine is %s: install the build for %s", path,
                          m != NULL ? m->arch : "another machine", elf, tn_presence_arch(), tn_presence_arch());
    if (type != ET_DYN)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "%s: not a shared object (ELF type %u): link it with -shared",
                          path, type);
    return TENON_OK;
}
