/* test_memory.c - the memory a process may have, from made up /proc and /sys trees: the machine's, limits of cgroups of both versions,
 * beside each other and above each other, what groups use, and what is no limit at all. */
#include <stdbool.h>

#include "core/base/memory.h"
#include "made_root.h"
#include "suite.h"

#define MIB ((uint64_t)1 << 20)

static void check(uint64_t total, uint64_t available)
{
    ck_assert_uint_eq(tn_memory_total(made_root), total);
    ck_assert_uint_eq(tn_memory_available(made_root), available);
}

/* A machine of 8192 MiB, of which 6144 are free or files that can go. */
static void machine(void)
{
    made_root_start();
    put("/proc/meminfo", "MemTotal:        8388608 kB\nMemFree:          524288 kB\nMemAvailable:    6291456 kB\nBuffers:  1 kB\n");
}

START_TEST(the_machine)
{
    check(8192 * MIB, 6144 * MIB);
    put("/proc/self/cgroup", "0::/\n");
    check(8192 * MIB, 6144 * MIB); /* no /sys */
    put("/sys/fs/cgroup/memory.max", "max\n");
    put("/sys/fs/cgroup/memory.current", "1048576\n");
    check(8192 * MIB, 6144 * MIB);
}
END_TEST

START_TEST(without_meminfo)
{
    put("/proc/meminfo", "MemTotal:\nMemAvailable:\n");
    ck_assert_uint_gt(tn_memory_total(made_root), 0);
    ck_assert_uint_gt(tn_memory_available(made_root), 0);
    ck_assert_uint_le(tn_memory_available(made_root), tn_memory_total(made_root));
}
END_TEST

START_TEST(version_2)
{
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "1073741824\n");
    check(1024 * MIB, 1024 * MIB); /* what is used is not known */
    put("/sys/fs/cgroup/memory.current", "734003200\n");
    check(1024 * MIB, 324 * MIB);
    put("/sys/fs/cgroup/memory.stat", "anon 1\nfile 420000000\nkernel 5\nshmem 1\ninactive_anon 7\nactive_anon 9\ninactive_file 104857600\n"
                                      "active_file 209715200\nunevictable 0\n");
    check(1024 * MIB, 624 * MIB);
    put("/sys/fs/cgroup/memory.high", "943718400\n");
    check(900 * MIB, 500 * MIB);
    put("/sys/fs/cgroup/memory.high", "104857600\n"); /* more is used than that */
    check(100 * MIB, 1);
    put("/sys/fs/cgroup/memory.high", "max\n");
    put("/sys/fs/cgroup/memory.current", "1048576\n"); /* less than the files, which were counted a moment before */
    check(1024 * MIB, 1024 * MIB);
    put("/sys/fs/cgroup/memory.max", "107374182400\n"); /* more than the machine has */
    check(8192 * MIB, 6144 * MIB);
}
END_TEST

/* A group above may have less left though its limit is the larger one. */
START_TEST(the_least_of_those_above_counts)
{
    put("/proc/self/cgroup", "0::/a.slice/b.scope\n");
    put("/sys/fs/cgroup/a.slice/b.scope/memory.max", "1073741824\n");
    put("/sys/fs/cgroup/a.slice/b.scope/memory.current", "104857600\n");
    check(1024 * MIB, 924 * MIB);
    put("/sys/fs/cgroup/a.slice/memory.max", "2147483648\n");
    put("/sys/fs/cgroup/a.slice/memory.current", "2042626048\n");
    check(1024 * MIB, 100 * MIB);
    put("/sys/fs/cgroup/a.slice/memory.max", "524288000\n");
    put("/sys/fs/cgroup/a.slice/memory.current", "209715200\n");
    check(500 * MIB, 300 * MIB);
    put("/sys/fs/cgroup/other/memory.max", "1048576\n"); /* not ours */
    check(500 * MIB, 300 * MIB);
}
END_TEST

START_TEST(version_1)
{
    put("/proc/self/cgroup", "5:cpuset:/x\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n");
    put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    put("/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "209715200\n");
    check(8192 * MIB, 6144 * MIB);
    put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "524288000\n");
    check(500 * MIB, 300 * MIB);
    put("/sys/fs/cgroup/memory/docker/abc/memory.stat", "cache 3\ninactive_file 1\nactive_file 2\nunevictable 0\n"
                                                        "total_inactive_file 52428800\ntotal_active_file 52428800\n");
    check(500 * MIB, 400 * MIB);
    put("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "314572800\n");
    put("/sys/fs/cgroup/memory/docker/memory.usage_in_bytes", "262144000\n");
    check(300 * MIB, 50 * MIB);
}
END_TEST

/* A container of version 1 sees its own group as the top, though its path is the machine's. */
START_TEST(version_1_in_a_container)
{
    put("/proc/self/cgroup", "4:memory:/docker/abc\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "524288000\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "209715200\n");
    check(500 * MIB, 300 * MIB);
}
END_TEST

/* Both at once: memory is a matter of either. */
START_TEST(hybrid)
{
    put("/proc/self/cgroup", "4:memory:/v1\n0::/v2\n");
    put("/sys/fs/cgroup/unified/v2/memory.max", "524288000\n");
    put("/sys/fs/cgroup/unified/v2/memory.current", "104857600\n");
    check(500 * MIB, 400 * MIB);
    put("/sys/fs/cgroup/memory/v1/memory.limit_in_bytes", "314572800\n");
    put("/sys/fs/cgroup/memory/v1/memory.usage_in_bytes", "262144000\n");
    check(300 * MIB, 50 * MIB);
}
END_TEST

static const char *const strange[] = {
    "", "\n", "-1\n", "max\n", "many\n", "1e6\n", "0x1000\n", "1048576 bytes?\n\x80", "99999999999999999999999999999999\n", "\xff\x01 \x80",
};

START_TEST(strange_numbers)
{
    bool is_number = strncmp(strange[_i], "1048576", 7) == 0; /* the control: what stands behind a number is passed over */
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", strange[_i]);
    check(is_number ? MIB : 8192 * MIB, is_number ? MIB : 6144 * MIB);
    put("/sys/fs/cgroup/memory.max", "524288000\n");
    put("/sys/fs/cgroup/memory.current", strange[_i]);
    check(500 * MIB, is_number ? 499 * MIB : 500 * MIB);
    put("/sys/fs/cgroup/memory.current", "104857600\n");
    put("/sys/fs/cgroup/memory.stat", strange[_i]);
    check(500 * MIB, 400 * MIB);
}
END_TEST

/* On whatever machine this runs. */
START_TEST(here)
{
    const struct tenon_memory *m = tn_memory_service();
    ck_assert_uint_gt(m->total(m->ctx), 16 * MIB);
    ck_assert_uint_gt(m->available(m->ctx), MIB);
    ck_assert_uint_le(m->available(m->ctx), m->total(m->ctx));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tc = tcase_create("memory");
    tcase_add_checked_fixture(tc, machine, made_root_end);
    tcase_add_test(tc, the_machine);
    tcase_add_test(tc, without_meminfo);
    tcase_add_test(tc, version_2);
    tcase_add_test(tc, the_least_of_those_above_counts);
    tcase_add_test(tc, version_1);
    tcase_add_test(tc, version_1_in_a_container);
    tcase_add_test(tc, hybrid);
    tcase_add_loop_test(tc, strange_numbers, 0, sizeof strange / sizeof strange[0]);
    tcase_add_test(tc, here);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
