/* test_quota.c - CPU quotas of cgroups, from made up /proc and /sys trees: both versions, groups above, containers, and what is no
 * quota at all. */
#include "core/base/quota.h"
#include "core/base/threads.h"
#include "made_root.h"
#include "suite.h"

START_TEST(none)
{
    ck_assert_uint_eq(tn_quota_cores(made_root), 0); /* no /proc at all */
    put("/proc/self/cgroup", "0::/\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 0); /* no /sys */
    put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 0);
}
END_TEST

static const struct { const char *text; uint32_t cores; } maxima[] = {
    { "200000 100000\n", 2 }, { "150000 100000\n", 2 }, { "1000 100000\n", 1 }, { "100001 100000", 2 }, { "100000 100000\n", 1 },
    { "18446744073709551615 1\n", UINT32_MAX },
    /* garbage sets none */
    { "", 0 }, { "\n", 0 }, { "200000\n", 0 }, { "200000 0\n", 0 }, { "0 100000\n", 0 }, { "-200000 100000\n", 0 },
    { "200000 -1\n", 0 }, { "2e5 1e5\n", 0 }, { "99999999999999999999999999999999 1\n", 0 }, { "many few\n", 0 }, { "\xff\x01 \x80", 0 },
};

START_TEST(version_2)
{
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", maxima[_i].text);
    ck_assert_uint_eq(tn_quota_cores(made_root), maxima[_i].cores);
}
END_TEST

START_TEST(the_least_of_those_above_counts)
{
    put("/proc/self/cgroup", "0::/a.slice/b.scope/c\n");
    put("/sys/fs/cgroup/a.slice/b.scope/c/cpu.max", "800000 100000\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 8);
    put("/sys/fs/cgroup/a.slice/cpu.max", "300000 100000\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 3);
    put("/sys/fs/cgroup/a.slice/b.scope/cpu.max", "max 100000\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 3);
    put("/sys/fs/cgroup/cpu.max", "900000 100000\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 3);
    put("/sys/fs/cgroup/a.slice/b.scope/c/cpu.max", "20000 10000\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 2);
    put("/sys/fs/cgroup/other/cpu.max", "10000 10000\n"); /* not ours */
    ck_assert_uint_eq(tn_quota_cores(made_root), 2);
}
END_TEST

START_TEST(version_1)
{
    put("/proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n");
    put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 0);
    put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "350000\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 4);
    put("/sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us", "50000\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 4); /* a quota without a period */
    put("/sys/fs/cgroup/cpu/docker/cpu.cfs_period_us", "50000\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 1);
}
END_TEST

/* A container's own group is the top of what it sees, and controllers may be mounted by their whole list alone. */
START_TEST(version_1_in_a_container)
{
    put("/proc/self/cgroup", "4:cpuacct,cpu:/docker/abc\n");
    put("/sys/fs/cgroup/cpuacct,cpu/cpu.cfs_quota_us", "150000\n");
    put("/sys/fs/cgroup/cpuacct,cpu/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 2);
}
END_TEST

static const char *const strange[] = {
    "", "\n", "0", "0:", "0::", "0:cpu", "::", ":cpu:", "0::no/slash\n", "4:cpus,xcpu,cpuacct:/\n", "\x80\xff:cpu:\xfe\n", "::::::\n",
};

START_TEST(strange_lines)
{
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    put("/proc/self/cgroup", strange[_i]);
    ck_assert_uint_eq(tn_quota_cores(made_root), 0);
}
END_TEST

/* A path that leads out of the hierarchy, and lines longer than any path. */
START_TEST(paths_stay_inside)
{
    static char longest[20000];
    put("/sys/fs/cpu.max", "100000 100000\n");
    put("/sys/fs/cgroup/cpu.max", "700000 100000\n");
    put("/proc/self/cgroup", "0::/../x\n");
    ck_assert_uint_eq(tn_quota_cores(made_root), 7);
    memset(longest, 'x', sizeof longest - 1);
    memcpy(longest, "0::/", 4);
    put("/proc/self/cgroup", longest);
    ck_assert_uint_eq(tn_quota_cores(made_root), 0);
}
END_TEST

/* On whatever machine this runs. */
START_TEST(the_usual_number_of_threads)
{
    uint32_t n = tn_threads_usual(), quota = tn_quota_cores("");
    ck_assert_uint_ge(n, 1);
    ck_assert_uint_le(n, tn_threads_cores());
    ck_assert(quota == 0 || n <= quota);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quota");
    TCase *tc = tcase_create("cgroups");
    tcase_add_checked_fixture(tc, made_root_start, made_root_end);
    tcase_add_test(tc, none);
    tcase_add_loop_test(tc, version_2, 0, sizeof maxima / sizeof maxima[0]);
    tcase_add_test(tc, the_least_of_those_above_counts);
    tcase_add_test(tc, version_1);
    tcase_add_test(tc, version_1_in_a_container);
    tcase_add_loop_test(tc, strange_lines, 0, sizeof strange / sizeof strange[0]);
    tcase_add_test(tc, paths_stay_inside);
    tcase_add_test(tc, the_usual_number_of_threads);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
